"""The shards of an internal topic."""
