"""Compiled modules; bodies in cext/."""
