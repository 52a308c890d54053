"""The commands: ``textgen-run``."""
