"""Small timings, each a module to run: codec, append, connection, start."""
