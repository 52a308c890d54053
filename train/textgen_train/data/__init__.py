"""A corpus as batches of tokens."""
