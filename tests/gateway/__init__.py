"""Tests of the process that serves HTTP for the host."""
