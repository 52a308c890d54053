"""Ctrl-C at any moment ends an installed command without a message, and keeps finished work."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.paths import TINY
from tests.helpers.programs import posix_only

pytestmark = posix_only

PROGRAMS = Path(sys.executable).parent

# A module that Python imports before the command. It interrupts the process once: at the launcher's first
# statement, before the import of a module, or at exit. It also sets the action of SIGINT, which is ignored if
# a shell runs the tests in the background.
INTERRUPTED = """
import _signal, atexit, os, sys
moment, action = {moment!r}, {action!r}
_signal.signal(_signal.SIGINT, getattr(_signal, action))

def interrupt():
    global moment
    moment = None
    os.kill(os.getpid(), _signal.SIGINT)

class Finder:
    def find_spec(name, path, target=None):
        if name == moment:
            interrupt()

sys.meta_path.insert(0, Finder)
if moment == "exit":
    atexit.register(interrupt)
if moment == "first statement":
    original = _signal.signal
    def signal(*arguments):
        _signal.signal = original
        original(*arguments)
        interrupt()
    _signal.signal = signal
"""

RUN = ("textgen-run", str(TINY), "--length", "20", "--seed", "1")
TRAIN = ("textgen-train", "book.txt", "--units", "8", "--epochs", "2")


def interrupted(
    folder: Path, moment: str, command: tuple[str, ...], action: str = "default_int_handler"
) -> subprocess.CompletedProcess[str]:
    """Run an installed command that is interrupted at a moment."""
    customization = folder / "site"
    customization.mkdir()
    program = INTERRUPTED.format(moment=moment, action=action)
    (customization / "sitecustomize.py").write_text(program, encoding="utf-8")
    (folder / "book.txt").write_text("Do re mi fa sol la si do,\n" * 80, encoding="utf-8")
    return subprocess.run(
        [str(PROGRAMS / command[0]), *command[1:]],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(customization)},
        capture_output=True,
        check=False,
        encoding="utf-8",
    )


@pytest.mark.parametrize(
    ("moment", "command"),
    [
        ("first statement", RUN),
        ("first statement", TRAIN),
        ("textgen_runtime", RUN),
        ("textgen_runtime._core", RUN),
        ("numpy._core", (*RUN, "--engine", "onnxruntime")),
        ("onnxruntime", (*RUN, "--engine", "onnxruntime")),
        ("textgen_runtime.model", ("textgen-bench", str(TINY))),
        ("textgen_train.cli", TRAIN),
    ],
)
def test_an_interrupt_during_an_import_prints_nothing(
    tmp_path: Path, moment: str, command: tuple[str, ...]
) -> None:
    done = interrupted(tmp_path, moment, command)
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, "", "")
    assert not (tmp_path / "book-model").exists()


@pytest.mark.parametrize("command", [RUN, (*RUN, "--engine", "onnxruntime")])
def test_an_interrupt_at_exit_loses_no_text(tmp_path: Path, command: tuple[str, ...]) -> None:
    done = interrupted(tmp_path, "exit", command)
    assert (done.returncode, done.stderr) == (-signal.SIGINT, "")
    assert len(done.stdout) == len("dad had") + 20 + 1


def test_an_interrupt_during_an_evaluation_waits_for_its_end(tmp_path: Path) -> None:
    """The signal arrives while the first report is written."""
    done = interrupted(tmp_path, "textgen_runtime.bench.report", (*TRAIN[:-1], "1000"))
    assert done.returncode == 130
    *_, last = done.stderr.splitlines()
    assert last.startswith("textgen-train: interrupted: book-model/model.onnx holds the best model")
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    assert (tmp_path / "book-model" / "report.html").exists()
    assert len((tmp_path / "book-model" / "metrics.jsonl").read_text().splitlines()) == 1


def test_an_ignored_interrupt_stays_ignored(tmp_path: Path) -> None:
    done = interrupted(tmp_path, "numpy", RUN, action="SIG_IGN")
    assert (done.returncode, done.stderr) == (0, "")
