"""Scores of a model on a text."""
