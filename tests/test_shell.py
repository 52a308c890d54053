"""What all the commands do alike."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from textgen_runtime.cli import bench, run
from textgen_runtime.cli import eval as evaluation
from textgen_train import cli as train

from .commands import Captured, run_here

Main = Callable[[Sequence[str]], int]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("option", ["--help", "--version"])
@pytest.mark.parametrize("command", [run, evaluation, bench, train], ids=lambda module: module.PROG)
def test_help_that_cannot_be_written_is_an_error(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch, command: object, option: str
) -> None:
    main: Main = command.main  # type: ignore[attr-defined]
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        monkeypatch.setattr(sys, "stdout", full)
        code, _, err = run_here(main, capsys, option)
    assert code == 1
    assert err.endswith(": error: cannot write standard output: No space left on device\n")
    assert err.count("\n") == 1


def test_help_is_written_to_standard_output(capsys: Captured) -> None:
    code, out, err = run_here(run.main, capsys, "no-such-model.onnx", "--help")
    assert (code, err) == (0, "")
    assert out == run.parser().format_help()
