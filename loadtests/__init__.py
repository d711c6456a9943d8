"""Load tests: micro/ times single parts, limit/ compares with the physical limit of the shape."""
