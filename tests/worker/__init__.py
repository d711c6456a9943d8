"""One worker's parts."""
