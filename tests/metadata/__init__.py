"""Tests of fastbroker/metadata."""
