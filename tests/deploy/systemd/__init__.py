"""The unit under a real systemd, and upgrades under load; ../containers.py makes the host."""
