"""Data for training: splits a corpus, encodes it as tokens, and arranges these in batches."""
