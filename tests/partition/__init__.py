"""One partition as its leader sees it."""
