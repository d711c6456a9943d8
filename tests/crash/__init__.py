"""Real processes killed and fed with garbage: what was acknowledged stays, who behaves is served."""
