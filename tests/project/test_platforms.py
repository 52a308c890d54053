"""What the systems of docs/platforms.md have in common."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.paths import ROOT

# Windows does not have these modules of Python.
POSIX_ONLY = {"fcntl", "grp", "pty", "pwd", "readline", "resource", "syslog", "termios", "tty"}

FOLDERS = ("benchmarks", "examples", "release", "runtime", "tests", "train")


def imported(source: str) -> Iterator[str]:
    """Yield the modules that a module always imports: not those of its functions, or after ``try``."""
    for statement in ast.parse(source).body:
        if isinstance(statement, ast.Import):
            yield from (alias.name for alias in statement.names)
        elif isinstance(statement, ast.ImportFrom):
            yield str(statement.module)


@pytest.mark.parametrize("folder", FOLDERS)
def test_windows_can_import_every_module(folder: str) -> None:
    """One that it cannot import ends the collection of all tests."""
    missing = {
        str(path.relative_to(ROOT)): names
        for path in sorted(Path(ROOT, folder).rglob("*.py"))
        if (names := POSIX_ONLY.intersection(imported(path.read_text(encoding="utf-8"))))
    }
    assert not missing
