"""Trained weights to a model file."""
