"""Load tests: micro/ times single parts, limit/ compares with the physical limit of the shape,
groups/ measures groups with real clients and with thousands of members."""
