"""Tests of fastbroker.net and the connection under it."""
