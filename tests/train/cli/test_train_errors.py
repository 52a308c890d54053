"""Each error of ``textgen-train`` is one line, and the best model is kept."""

import math
import os
import re
import signal
from pathlib import Path

import pytest
from textgen_runtime.errors import OutputError
from textgen_train.cli import _process
from textgen_train.errors import ExportError
from textgen_train.loop import eval_schedule, evaluator
from textgen_train.loop.run import TrainingRun

from tests.helpers.commands import Captured
from tests.helpers.train_command import QUICK, run


@pytest.mark.usefixtures("book")
@pytest.mark.parametrize(
    ("losses", "saved"),
    [
        ([math.nan], "; no model was saved to book-model"),
        (
            [2.0, math.nan],
            "; book-model/model.onnx holds the best model that was saved (held-out loss 2.0000 nats)",
        ),
    ],
)
def test_a_failed_run_names_the_saved_model(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch, losses: list[float], saved: str
) -> None:
    monkeypatch.setattr(eval_schedule, "MIN_UPDATES_BETWEEN", 1)
    results = iter(losses)
    monkeypatch.setattr(evaluator, "held_out_loss", lambda *_: next(results))
    code, _, err = run(capsys, "book.txt", *QUICK)
    assert code == 1
    assert err.splitlines()[-1].startswith("textgen-train: error: the held-out loss is nan at update ")
    assert err.endswith(f": try lower learning rates{saved}\n")
    assert not any("NaN" in path.read_text() for path in Path().glob("*/metrics.jsonl"))


@pytest.mark.usefixtures("book")
def test_a_run_whose_exports_all_fail_can_be_resumed(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ExportError("not written")

    monkeypatch.setattr(evaluator, "build_checked", fail)
    code, _, err = run(capsys, "book.txt", *QUICK)
    assert code == 1
    assert err.endswith(
        "textgen-train: error: not written; no model was saved to book-model; to resume the run: "
        "textgen-train --resume book-model\n"
    )


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        (b"abcdefghij" * 5, (), "too short: it has 45 training characters and 5 held-out characters"),
        (b"abcdefghij" * 50, ("-o", "bad.txt"), "cannot write to the folder bad.txt: Not a directory"),
        (
            b"abcdefghij" * 50,
            ("-o", "bad.txt/folder"),
            "cannot write to the folder bad.txt/folder: Not a directory",
        ),
    ],
)
def test_invalid_corpora_and_folders(
    capsys: Captured, book: Path, content: bytes, options: tuple[str, ...], message: str
) -> None:
    (book.parent / "bad.txt").write_bytes(content)
    code, out, err = run(capsys, "bad.txt", *QUICK, *options)
    assert (code, out) == (1, "")
    assert re.fullmatch(f"textgen-train: error: .*{re.escape(message)}.*\n", err)
    assert sorted(os.listdir()) == ["bad.txt", "book.txt"]


@pytest.mark.usefixtures("book")
def test_a_text_shorter_than_a_window(capsys: Captured) -> None:
    code, _, err = run(capsys, "book.txt", "--recipe", "classic", "--window", "5000", "--epochs", "1")
    assert code == 1
    assert err.startswith("textgen-train: error: the corpus book.txt is too short: it has 1764 training")
    assert "windows of 5000 need at least 5001" in err
    assert not Path("book-model").exists()


@pytest.mark.usefixtures("book")
def test_an_error_after_an_interrupt_is_printed(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        signal.raise_signal(signal.SIGINT)
        raise OutputError("the disk is full")

    monkeypatch.setattr(TrainingRun, "run", fail)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        code, _, err = run(capsys, "book.txt", *QUICK)
    finally:
        signal.signal(signal.SIGINT, before)
    assert code == 130
    assert err.endswith(
        "textgen-train: error: the disk is full\n"
        "textgen-train: interrupted: no model was saved to book-model; without a checkpoint, the run cannot "
        "be resumed: start it again\n"
    )


@pytest.mark.usefixtures("book")
def test_tensorboard_without_its_package_is_an_error_at_the_start(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    def find(name: str) -> object:
        return None if name == "tensorboard" else object()

    monkeypatch.setattr(_process, "find_spec", find)
    code, out, err = run(capsys, "book.txt", *QUICK, "--tensorboard")
    assert (code, out) == (1, "")
    assert err == (
        "textgen-train: error: --tensorboard requires tensorboard: in a clone of this project, "
        'pip install ".[tensorboard]"\n'
    )
