"""``python -m textgen_runtime`` is ``textgen-run``."""

import sys

import textgen_launcher

sys.exit(textgen_launcher.run())
