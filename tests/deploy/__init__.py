"""The service on a real host: systemd, the installer, upgrades; see containers.py."""
