"""``python -m textgen_train`` is ``textgen-train``."""

import sys

import textgen_launcher

sys.exit(textgen_launcher.train())
