"""The folder of the C core's sources."""

from pathlib import Path

PUBLIC_HEADER = "textgen.h"

# setup.py copies the sources to the first folder when it builds a wheel. In a clone they are in the second.
INSTALLED = Path(__file__).parent / "core"
CLONE = Path(__file__).resolve().parents[2] / "core"


def core_folder() -> Path:
    """Return the folder with ``textgen.h``, the other sources and the folder ``kernels``."""
    return INSTALLED if INSTALLED.is_dir() else CLONE
