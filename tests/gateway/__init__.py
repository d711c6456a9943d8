"""Tests of fastbroker.gateway."""
