"""Small timings, each a module to run: codec, append, fetch, connection, start, offset_commits,
compaction."""
