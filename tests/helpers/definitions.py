"""``runtime/definitions.py``, which is no part of a package."""

from tests.helpers.examples import import_file
from tests.helpers.paths import ROOT

definitions = import_file(ROOT / "runtime" / "definitions.py")
