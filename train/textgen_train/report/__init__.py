"""Watchers that show a training run: progress on the terminal, and files."""
