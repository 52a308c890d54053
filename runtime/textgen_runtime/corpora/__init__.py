"""Corpora: files, folders, standard input, and texts with a name."""
