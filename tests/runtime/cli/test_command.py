"""Behavior that all commands share. Messages name options as they are typed, not the keywords of Python."""

import errno
import sys
from pathlib import Path
from types import ModuleType

import onnx
import pytest
from textgen_runtime import terminal as console
from textgen_runtime.cli import bench, info, run
from textgen_runtime.cli import eval as evaluation
from textgen_runtime.cli.command import run_command
from textgen_train import cli as train

from tests.helpers.commands import Captured, run_here
from tests.helpers.damaged_models import clip_the_gates
from tests.helpers.paths import TINY
from tests.helpers.programs import posix_only


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("option", ["--help", "--version"])
@pytest.mark.parametrize("command", [run, evaluation, info, bench, train], ids=lambda module: module.PROG)
def test_help_that_cannot_be_written_is_an_error(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch, command: ModuleType, option: str
) -> None:
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        monkeypatch.setattr(sys, "stdout", full)
        code, _, err = run_here(command.main, capsys, option)
    assert code == 1
    assert err.endswith(": error: standard output: No space left on device\n")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (OSError(5, "Input/output error"), "Input/output error"),
        (BrokenPipeError(errno.EPIPE, "Broken pipe"), "Broken pipe"),
        (OSError(24, "Too many open files", "/data/x.py"), "/data/x.py: Too many open files"),
    ],
)
def test_an_error_that_is_not_of_standard_output_does_not_name_it(
    capsys: Captured, error: OSError, line: str
) -> None:
    def fail() -> int:
        raise error

    assert run_command("textgen-x", fail) == 1
    assert capsys.readouterr().err == f"textgen-x: error: {line}\n"


@pytest.mark.parametrize(
    ("is_windows", "error", "code"),
    [
        (False, BrokenPipeError(errno.EPIPE, "Broken pipe"), 0),
        (True, OSError(errno.EINVAL, "Invalid argument"), 0),
        (False, OSError(errno.EINVAL, "Invalid argument"), 1),
    ],
)
def test_the_end_of_a_reader_is_no_error(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch, is_windows: bool, error: OSError, code: int
) -> None:
    """On Windows, a write to a pipe without a reader is an invalid argument."""

    def fail(*_: object) -> int:
        raise error

    monkeypatch.setattr(console, "IS_WINDOWS", is_windows)
    monkeypatch.setattr(sys.stdout, "write", fail)
    assert run_command("textgen-x", lambda: sys.stdout.write("text")) == code
    assert capsys.readouterr().err == "textgen-x: error: standard output: Invalid argument\n" * code


@posix_only
@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        (run, "LONG"),
        (evaluation, "model.onnx LONG"),
        (evaluation, "model.onnx text --surprise LONG"),
        (bench, "model.onnx --json LONG"),
        (train, "LONG"),
        (train, "text --output LONG"),
    ],
)
def test_a_path_that_is_too_long_is_shortened(
    capsys: Captured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: ModuleType, arguments: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("text").write_text("abcd" * 100, encoding="utf-8")
    Path("model.onnx").write_bytes(TINY.read_bytes())
    words = ["x" * 100_000 if word == "LONG" else word for word in arguments.split()]
    code, _, err = run_here(command.main, capsys, *words)
    assert (code, err.count("\n")) == (1, 1)
    assert "File name too long" in err
    assert len(err) < 400


def test_a_prompt_is_mended_by_an_option(capsys: Captured) -> None:
    code, _, err = run_here(run.main, capsys, str(TINY), "--prompt", "x")
    assert code == 1
    assert err.endswith("'x' (U+0078); remove them, or skip them with --unknown skip\n")


def test_the_other_engine_is_an_option(capsys: Captured, tmp_path: Path, tiny_proto: onnx.ModelProto) -> None:
    clip_the_gates(tiny_proto)
    path = tmp_path / "model.onnx"
    path.write_bytes(tiny_proto.SerializeToString())
    code, _, err = run_here(run.main, capsys, str(path))
    assert (code, err.count(str(path))) == (1, 1)
    assert err.endswith("; if you trust the file, use --engine onnxruntime\n")
