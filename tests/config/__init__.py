"""Configuration: what is accepted, refused, and how."""
