"""The commands: ``textgen-run`` and ``textgen-bench``."""
