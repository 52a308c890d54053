"""Running Python programs in separate processes, and the mark of tests that Windows cannot run."""

import os
import subprocess
import sys

import pytest

posix_only = pytest.mark.skipif(os.name != "posix", reason="Windows lacks what this test uses")


def run_python(program: str) -> str:
    """Run a Python program and return its standard output."""
    return subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True, encoding="utf-8"
    ).stdout
