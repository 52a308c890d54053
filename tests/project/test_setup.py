"""``setup.py`` without what it needs: the last lines say what to install."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.paths import ROOT
from tests.helpers.programs import posix_only

# Compiles the core to empty objects, and no extension, as if the headers of Python were missing.
WITHOUT_HEADERS = """#!/bin/sh
case "$*" in *build/generated*) echo "Python.h: No such file or directory" >&2; exit 1;; esac
while [ "$1" != -o ]; do shift; done
: > "$2"
"""


@posix_only
@pytest.mark.parametrize("missing", ["compiler", "headers"])
def test_a_build_without_a_compiler_or_headers_says_what_to_install(tmp_path: Path, missing: str) -> None:
    compiler = tmp_path / "cc"
    if missing == "headers":
        compiler.write_text(WITHOUT_HEADERS)
        compiler.chmod(0o755)
    folders = ("--build-lib", str(tmp_path / "lib"), "--build-temp", str(tmp_path / "temp"))
    done = subprocess.run(
        [sys.executable, "setup.py", "--quiet", "build", *folders],
        cwd=ROOT,
        env=os.environ | {"CC": str(compiler)},
        capture_output=True,
        check=False,
        encoding="utf-8",
    )
    assert done.returncode == 1
    advice = "".join(done.stderr.splitlines()[-4:])
    for package in ("build-essential python3-dev", "gcc python3-devel", "xcode-select", "Build Tools"):
        assert package in advice
