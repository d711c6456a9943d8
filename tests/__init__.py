"""Tests mirror the package; interop/, recordings/, crash/ and sim/ test the whole."""
