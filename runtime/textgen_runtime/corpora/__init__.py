"""Corpora: files, folders, standard input and named texts."""
