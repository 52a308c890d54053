"""Loaded models, running generations, and batches of them."""
