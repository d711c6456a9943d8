"""Tests of what is measured, and of its text."""
