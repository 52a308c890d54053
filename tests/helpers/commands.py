"""Running a command in this process, as several test modules do."""

from collections.abc import Callable, Sequence

import pytest

Captured = pytest.CaptureFixture[str]


def run_here(main: Callable[[Sequence[str]], int], capsys: Captured, *arguments: str) -> tuple[int, str, str]:
    """A command's exit code, standard output and standard error."""
    try:
        code = main(arguments)
    except SystemExit as stopped:
        code = int(stopped.code or 0)
    captured = capsys.readouterr()
    return code, captured.out, captured.err
