"""``textgen-train`` says in one line why it cannot train, and what a run that failed leaves."""

import math
import os
import re
from pathlib import Path

import pytest
import torch
from textgen_runtime.errors import OutputError
from textgen_train.export import onnx_graph as graph
from textgen_train.loop import eval_schedule, evaluator
from textgen_train.loop.run import TrainingRun

from tests.helpers.commands import Captured
from tests.helpers.train_command import QUICK, run


@pytest.mark.usefixtures("book")
@pytest.mark.parametrize(
    ("losses", "left"),
    [
        ([math.nan], ""),
        ([2.0, math.nan], "; book-model/model.onnx holds the best model so far, 2.0000 nats held out"),
    ],
)
def test_a_run_that_fails_says_what_it_leaves(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch, losses: list[float], left: str
) -> None:
    monkeypatch.setattr(eval_schedule, "MIN_UPDATES_BETWEEN", 1)
    found = iter(losses)
    monkeypatch.setattr(evaluator, "held_out_loss", lambda *_: next(found))
    code, _, err = run(capsys, "book.txt", *QUICK)
    assert code == 1
    assert err.splitlines()[-1].startswith("textgen-train: error: the held-out loss is nan at update ")
    assert err.endswith(f": try lower learning rates{left}\n")


@pytest.mark.usefixtures("book")
@pytest.mark.parametrize(
    "raised", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried")]
)
def test_too_little_memory_is_an_error_in_a_line(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch, raised: Exception
) -> None:
    def fail(*_: object) -> None:
        raise raised

    monkeypatch.setattr(torch.autograd, "grad", fail)
    code, _, err = run(capsys, "book.txt", *QUICK)
    assert code == 1
    assert "error: there is not enough memory for a network of this size" in err.splitlines()[-1]


@pytest.mark.usefixtures("book")
def test_other_failures_are_not_called_a_want_of_memory(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(torch.autograd, "grad", fail)
    with pytest.raises(RuntimeError, match="a bug"):
        run(capsys, "book.txt", *QUICK)


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        (b"", (), "the corpus bad.txt is empty"),
        (b"abc\x00def", (), "bad.txt is not a text: byte 3 is zero"),
        (b"abc\xe9def", (), "bad.txt is not UTF-8: byte 3 is 0xe9"),
        (b"a" * 5000, (), "nothing but 'a'"),
        (b"abcdefghij" * 5, (), "too short: 45 characters to train on and 5 held out"),
        (b"abcdefghij" * 50, ("--held-out", "0.9"), "too short: 50 characters"),
        (b"abcdefghij" * 50, ("-o", "bad.txt"), "cannot write into the folder bad.txt"),
        (b"abcdefghij" * 50, ("-o", "bad.txt/folder"), "cannot write into the folder"),
    ],
)
def test_errors_of_the_users(
    capsys: Captured, book: Path, content: bytes, options: tuple[str, ...], message: str
) -> None:
    (book.parent / "bad.txt").write_bytes(content)
    code, out, err = run(capsys, "bad.txt", *QUICK, *options)
    assert (code, out) == (1, "")
    assert re.fullmatch(f"textgen-train: error: .*{re.escape(message)}.*\n", err)
    assert sorted(os.listdir()) == ["bad.txt", "book.txt"]


@pytest.mark.usefixtures("book")
def test_a_missing_corpus(capsys: Captured) -> None:
    code, _, err = run(capsys, "none.txt")
    assert (code, err.count("\n")) == (1, 1)
    assert "there is no file or folder none.txt; corpora known by name are python-docs, nietzsche" in err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--minutes", "0"), "--minutes: must be above 0"),
        (("--minutes", "nan"), "--minutes: must be above 0"),
        (("--minutes", "1", "--epochs", "1"), "not allowed with"),
        (("--epochs", "0"), "--epochs: must be 1 or more"),
        (("--held-out", "0"), "--held-out: must be a number between 0 and 1"),
        (("--held-out", "x"), "--held-out: 'x' is not a number"),
        (("--units", "0"), "units must be a whole number from 1 to 16384, not 0"),
        (("--dropout", "1"), "dropout must be from 0 to 0.99, not 1.0"),
        (("--unicode", "NFX"), "--unicode: invalid choice"),
        (("--seed", "-1"), "--seed: must be 0 or more"),
        (("--threads", "0"), "--threads: must be 1 or more"),
    ],
)
def test_wrong_usage(capsys: Captured, options: tuple[str, ...], message: str) -> None:
    code, out, err = run(capsys, "book.txt", *options)
    assert (code, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1


def test_standard_input_is_read_once(capsys: Captured) -> None:
    code, _, err = run(capsys, "-", "--held-out-file", "-")
    assert code == 2
    assert err.startswith("textgen-train: error: -, standard input, can be read only once")


@pytest.mark.usefixtures("book")
def test_a_network_too_large_for_a_file(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph, "MAX_PARAMETERS", 1000)
    code, out, err = run(capsys, "book.txt", *QUICK, "--units", "16")
    assert (code, out) == (1, "")
    assert "parameters is too large for an ONNX file, which holds 1,000: lower --units or --layers" in err


@pytest.mark.usefixtures("book")
def test_no_name_of_a_held_out_text(capsys: Captured) -> None:
    code, _, err = run(capsys, "book.txt", "--held-out-file", "")
    assert (code, err.count("\n")) == (1, 1)
    assert "the corpus has no name" in err


@pytest.mark.usefixtures("book")
def test_a_text_too_short_for_the_textbooks_windows(capsys: Captured) -> None:
    code, _, err = run(capsys, "book.txt", "--recipe", "classic", "--window", "5000", "--epochs", "1")
    assert code == 1
    assert err.startswith("textgen-train: error: the corpus book.txt is too short: its 1764 characters")
    assert "window of 5000" in err
    assert not Path("book-model").exists()


@pytest.mark.usefixtures("book")
def test_what_went_wrong_while_an_interrupt_waited_is_told_too(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise KeyboardInterrupt from OutputError("the disk is full")

    monkeypatch.setattr(TrainingRun, "run", fail)
    code, _, err = run(capsys, "book.txt", *QUICK)
    assert code == 130
    assert err.splitlines()[-2:] == [
        "textgen-train: error: the disk is full",
        "textgen-train: interrupted: there was no model yet; nothing was written to book-model",
    ]
