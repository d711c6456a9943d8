"""Tests of the codec and of every declared message."""
