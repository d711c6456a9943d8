"""Brokers with a bug each, run as `python -m tests.powercut.planted.NAME start ...`."""
