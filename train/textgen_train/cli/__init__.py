"""The command ``textgen-train``."""
