"""``python -m textgen_train`` runs ``textgen-train``.

Python imports the package before this module, so Ctrl-C in the first milliseconds prints a traceback. The
installed command imports the launcher first.
"""

import sys

import textgen_launcher

sys.exit(textgen_launcher.train())
