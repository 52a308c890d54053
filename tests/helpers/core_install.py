"""``make`` in the folder of the C core."""

import os
import shutil
import subprocess
import sys

import pytest

from tests.helpers.c_programs import CORE, SEVERAL

# `make test-core` has other compilers.
CAN_MAKE = not SEVERAL and sys.platform == "linux" and bool(shutil.which("make"))

needs_make = pytest.mark.skipif(
    not CAN_MAKE, reason="the Makefile is tested with the default compiler on Linux"
)


def make(*arguments: str) -> None:
    """Run the Makefile of the core. A failure shows its standard error."""
    done = subprocess.run(
        ["make", "--silent", f"--jobs={os.cpu_count()}", f"--directory={CORE}", *arguments],
        check=False,
        capture_output=True,
        # `make test` passes its own options to this make.
        env={name: value for name, value in os.environ.items() if not name.startswith("MAKE")},
    )
    assert not done.returncode, done.stderr.decode()
