"""Record batches: built, read, walked; compression."""
