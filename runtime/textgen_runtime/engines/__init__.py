"""Engines run a model: tokens and a state in, logits and the next state out."""
