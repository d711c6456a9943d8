"""The scenarios, one file for each API or few that belong together."""
