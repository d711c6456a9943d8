"""Tests of the handlers that speak to the parts directly, without a connection."""
