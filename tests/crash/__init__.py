"""Real processes killed and fed with garbage: acknowledged records stay, clients are served."""
