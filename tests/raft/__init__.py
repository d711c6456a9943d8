"""Tests of fastbroker/raft."""
