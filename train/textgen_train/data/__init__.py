"""Data for training: the split of a corpus, its encoding as tokens, and batches of tokens."""
