"""``textgen-run`` with output that is closed, full, interrupted or in another encoding."""

import os
import re
import shlex
import signal
import string
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from textgen_runtime.cli.run import main

from tests.helpers.commands import Captured, run_here
from tests.helpers.make_tiny_model import make_model
from tests.helpers.paths import TINY
from tests.helpers.programs import posix_only

# If a shell runs the tests in the background, SIGINT is ignored, and child processes inherit that.
PROGRAM = (
    "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "from textgen_runtime.cli.run import main; sys.exit(main())"
)
COMMAND = [sys.executable, "-c", PROGRAM]


EACH_MODE = pytest.mark.parametrize("options", [(), ("--interactive",)], ids=["texts", "session"])


@contextmanager
def writing(*options: str) -> Iterator[subprocess.Popen[bytes]]:
    """The command while it writes a text without end."""
    arguments = [str(TINY), "--length", "1000000000", "--prompt", "abc", *options]
    pipe = subprocess.PIPE
    with subprocess.Popen([*COMMAND, *arguments], stdin=pipe, stdout=pipe, stderr=pipe) as process:
        assert process.stdout
        assert process.stdout.read(10).startswith(b"abc")
        yield process


@EACH_MODE
def test_a_closed_pipe_ends_the_command_quietly(options: tuple[str, ...]) -> None:
    with writing(*options) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(timeout=60) == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_is_an_error() -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run([*COMMAND, str(TINY)], stdout=full, stderr=subprocess.PIPE, check=False)
    error = b"textgen-run: error: standard output: No space left on device\n"
    assert (done.returncode, done.stderr) == (1, error)


@posix_only
def test_closed_standard_output_is_an_error() -> None:
    done = subprocess.run(
        ["/bin/sh", "-c", f"{shlex.join([*COMMAND, str(TINY)])} >&-"], capture_output=True, check=False
    )
    error = b"textgen-run: error: standard output: it is closed\n"
    assert (done.returncode, done.stderr) == (1, error)


@posix_only
def test_closed_standard_error_is_not_an_error() -> None:
    done = subprocess.run(
        ["/bin/sh", "-c", f"{shlex.join([*COMMAND, str(TINY), '--stats', '--no-echo'])} 2>&-"],
        capture_output=True,
        check=False,
    )
    assert (done.returncode, len(done.stdout.decode())) == (0, 401)


@posix_only
@EACH_MODE
def test_an_interrupt_exits_with_130_after_a_line_end(options: tuple[str, ...]) -> None:
    with writing(*options) as process:
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, err, out[-1:]) == (130, b"", b"\n")


@pytest.mark.parametrize("terminal", [True, False])
def test_control_characters_are_escaped_on_a_terminal(
    capsys: Captured, tmp_path: Path, terminal: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    controls = "\x00\x07\x08\x1b\x7f\x9b"
    path = tmp_path / "controls.onnx"
    path.write_bytes(make_model(f"{controls}\n\tab").SerializeToString())
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal)
    prompt = f"{controls}\ta\n"
    options = ("--prompt", prompt, "--temp", "3", "--count", "2", "--length", "400", "--seed", "1")
    _, out, _ = run_here(main, capsys, str(path), *options)
    if terminal:
        assert set(out) - set(string.printable) == set()
        assert out.startswith("------ text 1 of 2\n\\x00\\x07\\x08\\x1b\\x7f\\x9b\ta\n")
    else:
        assert out.startswith(f"------ text 1 of 2\n{prompt}")
    escaped = out.count("\\x1b") + out.count("\x1b")
    assert escaped > 50


def test_characters_that_the_output_cannot_encode_are_escaped() -> None:
    environment = os.environ | {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    done = subprocess.run(
        [*COMMAND, str(TINY), "--prompt", "é𝄞", "--length", "5", "--seed", "1"],
        capture_output=True,
        check=False,
        env=environment,
    )
    assert done.returncode == 0
    assert done.stdout.startswith(rb"\xe9\U0001d11e")
    assert re.fullmatch(rb"textgen-run: warning: the encoding ascii of the output lacks .*\n", done.stderr)
