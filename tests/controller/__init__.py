"""Tests of fastbroker/controller."""
