"""Reweighting to a temperature, and drawing tokens. It wraps ``runtime/core/sampler.c``."""
