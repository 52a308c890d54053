"""Running Python programs in separate processes."""

import subprocess
import sys


def run_python(program: str) -> str:
    """Run a Python program and return its standard output."""
    return subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True, encoding="utf-8"
    ).stdout
