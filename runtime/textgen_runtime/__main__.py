"""``python -m textgen_runtime`` runs ``textgen-run``."""

import sys

import textgen_launcher

sys.exit(textgen_launcher.run())
