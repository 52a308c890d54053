"""The commands of the runtime: ``textgen-run``, ``textgen-eval``, ``textgen-info`` and ``textgen-bench``."""
