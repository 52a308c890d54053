"""What the systems of docs/platforms.md have in common."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.paths import ROOT

# Windows does not have these modules of Python.
POSIX_MODULES = {"fcntl", "grp", "pty", "pwd", "readline", "resource", "syslog", "termios", "tty"}

# Windows does not have these names either.
POSIX_NAMES = {
    "multiprocessing.context.ForkServerContext",
    "pexpect.spawn",
    *(f"os.{name}" for name in ("O_NONBLOCK", "fchmod", "fork", "killpg", "mkfifo", "openpty", "waitpid")),
    *(f"signal.{name}" for name in ("alarm", "pause", "pthread_sigmask", "setitimer")),
}

# What a test that Windows runs must not contain. There, kill and send_signal can only end a process, and the
# error of a name that is too long differs.
FORBIDDEN = re.compile(
    "|".join(
        [
            *(rf"\b(?:import|from) {name}\b" for name in sorted(POSIX_MODULES)),
            *(rf"\b{re.escape(name)}\b" for name in sorted(POSIX_NAMES)),
            r"\bsignal\.SIG(?!(?:ABRT|BREAK|FPE|ILL|INT|SEGV|TERM|_DFL|_IGN)\b)\w+",
            "/bin/sh",
            "File name too long",
            r"\bos\.kill\(",
            r"\.send_signal\(",
        ]
    )
)

FOLDERS = ("benchmarks", "examples", "release", "runtime", "tests", "train")


def imported(source: str) -> Iterator[str]:
    """Yield the modules that a module always imports: not those of its functions, or after ``try``."""
    for statement in ast.parse(source).body:
        if isinstance(statement, ast.Import):
            yield from (alias.name for alias in statement.names)
        elif isinstance(statement, ast.ImportFrom):
            yield str(statement.module)
            yield from (f"{statement.module}.{alias.name}" for alias in statement.names)


def unmarked(source: str) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Yield the tests of a module that Windows runs, too."""
    statements = ast.parse(source).body
    if "pytestmark = posix_only" in map(ast.unparse, statements):
        return
    for statement in statements:
        if not isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        marks = map(ast.unparse, statement.decorator_list)
        if statement.name.startswith("test_") and "posix_only" not in marks:
            yield statement


@pytest.mark.parametrize("folder", FOLDERS)
def test_windows_can_import_every_module(folder: str) -> None:
    """A module that it cannot import ends the collection of all tests."""
    missing = {
        str(path.relative_to(ROOT)): names
        for path in sorted(Path(ROOT, folder).rglob("*.py"))
        if (names := (POSIX_MODULES | POSIX_NAMES).intersection(imported(path.read_text(encoding="utf-8"))))
    }
    assert not missing


def test_a_test_that_windows_runs_names_nothing_that_it_lacks() -> None:
    used = {
        f"{path.relative_to(ROOT)}: {test.name}: {name}"
        for path in sorted(Path(ROOT, "tests").rglob("test_*.py"))
        for test in unmarked(path.read_text(encoding="utf-8"))
        for name in FORBIDDEN.findall(ast.unparse(test))
    }
    assert not used, "mark them with posix_only"
