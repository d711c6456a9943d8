"""Requests through their handlers."""
