"""``textgen-train --resume``: a stopped run ends as an unbroken one, and mistakes lose nothing."""

import io
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import textgen_runtime as textgen
from filelock import FileLock
from textgen_train.cli import _training_run
from textgen_train.cli.train import main
from textgen_train.loop import checkpoint_file
from textgen_train.loop.output_folder import LOCK_FILE

from tests.helpers.commands import Captured
from tests.helpers.processes import run_processes
from tests.helpers.train_command import TEXT, run
from tests.helpers.training_runs import InterruptAt, timeless_results

CHECKPOINT = Path("out/checkpoint.safetensors")

# Two replicas of 8 lanes each, and seven updates per epoch.
DEFAULT = ("--units", "8", "--embedding", "4", "--batch", "16", "--sequence-length", "16", "--epochs", "3")
CLASSIC = ("--recipe", "classic", "--units", "8", "--window", "20", "--batch", "128", "--epochs", "3")
KINDS = {
    "classic": CLASSIC,
    "records of bytes": (*DEFAULT, "--level", "byte", "--records", "lines", "--held-out-file", "others"),
    "words": (*DEFAULT, "--sequence-length", "6", "--level", "word", "--vocabulary-size", "24"),
}


def train_killed(_: int, folder: Path, number: int, arguments: list[str]) -> int:
    """Run the command in this process, which is killed while it writes its file of this number.

    It writes a checkpoint after each update.
    """
    os.chdir(folder)
    checkpoint_file.MIN_SECONDS_BETWEEN, checkpoint_file.MAX_FRACTION = 0.0, 1.0
    left, fsync = number, os.fsync

    def kill(file: Any) -> None:
        nonlocal left
        left -= 1
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)
        fsync(file)

    os.fsync = kill  # type: ignore[assignment]
    return main(arguments)


@pytest.fixture
def interrupted(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """A function that runs the command until an interrupt after some updates, and returns standard error."""

    def interrupted_run(updates: int, *arguments: str) -> str:
        with monkeypatch.context() as patch:
            patch.setattr(_training_run, "deferred_interrupts", lambda: InterruptAt(updates + 1))
            code, _, err = run(capsys, *arguments)
        assert code == 130, err
        return err

    return interrupted_run


@pytest.fixture(autouse=True)
def _texts(book: Path) -> None:
    """Write texts. Those in a folder end without a line end."""
    (book.parent / "other.txt").write_text(TEXT[:300], encoding="utf-8")
    (book.parent / "others").mkdir()
    (book.parent / "others" / "a.txt").write_text(TEXT[:80].strip(), encoding="utf-8")
    (book.parent / "others" / "b.txt").write_text(TEXT[80:160].strip(), encoding="utf-8")


def unbroken(capsys: Captured, *options: str) -> dict[str, Any]:
    """The results of a run that is never stopped."""
    assert run(capsys, "book.txt", *options, "--threads", "2", "-o", "unbroken")[0] == 0
    return timeless_results(Path("unbroken"))


@pytest.mark.parametrize("kind", KINDS)
def test_an_interrupted_run_ends_as_one_that_was_not(
    capsys: Captured, interrupted: Callable[..., str], kind: str
) -> None:
    """It is interrupted before its first evaluation. ``test_run_state.py`` restores other states."""
    expected = unbroken(capsys, *KINDS[kind])
    err = interrupted(2, "book.txt", *KINDS[kind], "--threads", "2", "-o", "out")
    assert err.endswith("; to resume the run: textgen-train --resume out\n")
    assert textgen.load("out").training["evaluation"]["step"] == 2
    code, out, err = run(capsys, "--resume", "out")
    assert code == 0, err
    assert "resuming after update 2, " in err
    assert "warning" not in err
    options = "--temp 0.5"
    if "--records" in KINDS[kind]:
        options = f"--count 20 --unique --novel {Path('book.txt').absolute()}"
    assert f"checkpoint.safetensors to out\nnext: textgen-run out {options}\n" in out
    assert timeless_results(Path("out")) == expected


def test_a_killed_run_ends_as_one_that_was_not(capsys: Captured, tmp_path: Path) -> None:
    """It is killed while it writes a checkpoint."""
    arguments = ["book.txt", *DEFAULT, "--threads", "2", "-o", "out"]
    # A process without a result has been killed.
    assert run_processes(train_killed, tmp_path, 20, arguments, size=1) == [None]
    assert [name for name in os.listdir("out") if name.endswith(".partial")]
    code, _, err = run(capsys, "--resume", "out")
    assert code == 0, err
    assert timeless_results(Path("out")) == unbroken(capsys, *DEFAULT)
    assert sorted(os.listdir("out")) == sorted(os.listdir("unbroken"))


def test_a_complete_run_is_not_resumed(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    """The encoding of the output may lack the name of the folder."""
    folder = Path("роман")
    assert run(capsys, "book.txt", *DEFAULT, "--epochs", "1", "--no-samples", "-o", "роман")[0] == 0
    before = {path: path.read_bytes() for path in folder.iterdir()}
    with monkeypatch.context() as patch:
        output = io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="strict")
        patch.setattr(sys, "stdout", output)
        assert run(capsys, "--resume", "роман")[0] == 0
    name = r"\u0440\u043e\u043c\u0430\u043d"
    assert output.buffer.getvalue().decode() == (
        f"the run in {name} is complete; to train longer, start a new run with a larger budget\n"
        f"next: textgen-run '{name}' --temp 0.5\n"
        f"a page for the browser: textgen-web '{name}'\n"
        f"a quarter of the size: textgen-quantize '{name}' -o '{name}/model.int8.onnx'\n"
    )
    assert {path: path.read_bytes() for path in folder.iterdir()} == before
    (folder / "model.onnx").unlink()
    code, _, err = run(capsys, "--resume", "роман")
    assert code == 1
    assert "complete, but its model.onnx is missing: train again with --overwrite" in err


def test_a_corpus_that_has_moved_is_passed_again(capsys: Captured, interrupted: Callable[..., str]) -> None:
    interrupted(2, "book.txt", *DEFAULT, "--held-out-file", "other.txt", "-o", "out")
    Path("moved").mkdir()
    Path("book.txt").rename("moved/novel.txt")
    code, _, err = run(capsys, "--resume", "out")
    assert code == 1
    assert "book.txt: no file" in err
    assert err.endswith("; if the text has moved, pass it with CORPUS --resume FOLDER\n")
    Path("other.txt").rename("moved/rest.txt")
    code, _, err = run(capsys, "moved/novel.txt", "--held-out-file", "moved/rest.txt", "--resume", "out")
    assert code == 0
    assert err.startswith("book.txt: ")
    training = textgen.load("out").training
    assert training["corpus"] == "book.txt"
    assert training["split"]["held_out"]["corpus"] == "other.txt"


def test_a_run_that_cannot_be_resumed_stays_as_it_is(
    capsys: Captured, interrupted: Callable[..., str]
) -> None:
    interrupted(2, "book.txt", *DEFAULT, "-o", "out")
    content = CHECKPOINT.read_bytes()

    def assert_refused(message: str, *arguments: str) -> None:
        before = {path: path.read_bytes() for path in Path("out").iterdir()}
        code, out, err = run(capsys, *(arguments or ("--resume", "out")))
        assert (code, out, err.count("\n")) == (1, "", 1)
        assert message in err
        assert {path: path.read_bytes() for path in Path("out").iterdir()} == before
        assert not Path("none").exists()

    assert_refused("other.txt is not the text of the run", "other.txt", "--resume", "out")
    # It would also be too short for a run.
    Path("short.txt").write_text("do re mi")
    assert_refused("short.txt is not the text of the run", "short.txt", "--resume", "out")
    for name in ("none", "book.txt"):
        assert_refused(f"nothing to resume: {name} has no checkpoint.safetensors", "--resume", name)
    with FileLock(f"out/{LOCK_FILE}"):
        assert_refused("another textgen-train run is writing to the folder")
    CHECKPOINT.write_bytes(content[:-9])
    assert_refused(
        "is damaged, or is not a checkpoint of textgen-train: start the run again with --overwrite"
    )
