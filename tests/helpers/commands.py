"""Running a command in this process."""

from collections.abc import Callable, Sequence

import pytest

Captured = pytest.CaptureFixture[str]


def run_here(main: Callable[[Sequence[str]], int], capsys: Captured, *arguments: str) -> tuple[int, str, str]:
    """Run a command; return its exit code, standard output and standard error."""
    try:
        code = main(arguments)
    except SystemExit as stopped:
        code = int(stopped.code or 0)
    captured = capsys.readouterr()
    return code, captured.out, captured.err
