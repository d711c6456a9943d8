"""Tests of the active controller's rules."""
