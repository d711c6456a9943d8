"""Tests of fastbroker/group/consumer/assignor."""
