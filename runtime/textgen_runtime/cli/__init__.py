"""The commands: ``textgen-run``, ``textgen-eval``, ``textgen-info`` and ``textgen-bench``."""
