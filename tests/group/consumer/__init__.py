"""Tests of fastbroker/group/consumer."""
