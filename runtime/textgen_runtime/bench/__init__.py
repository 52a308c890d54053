"""Timing in alternating rounds, and tables of figures: for ``textgen-bench`` and other measurements."""
