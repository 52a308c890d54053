"""``textgen-train`` as a person uses it."""

import errno
import io
import math
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import textgen_runtime as textgen
import torch
from textgen_runtime import __version__
from textgen_runtime.errors import OutputError
from textgen_train import graph
from textgen_train.cli import main
from textgen_train.loop import eval_schedule, evaluator
from textgen_train.loop.run import TrainingRun
from textgen_train.output_folder import LOCK_FILE

from .commands import Captured, run_here

TEXT = "Do re mi fa sol la si do,\nsi la sol fa mi re do.\n" * 40
QUICK = ("--units", "8", "--embedding", "4", "--epochs", "2")


@pytest.fixture
def book(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A short text, in the working directory."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "book.txt"
    path.write_text(TEXT, encoding="utf-8")
    threads = torch.get_num_threads()
    yield path
    torch.set_num_threads(threads)


def run(capsys: Captured, *arguments: str) -> tuple[int, str, str]:
    """Run the command here; its exit code, standard output and standard error."""
    return run_here(main, capsys, *arguments)


@pytest.mark.usefixtures("book")
def test_a_text_becomes_a_model(capsys: Captured) -> None:
    code, out, err = run(capsys, "book.txt", *QUICK, "--lowercase", "--seed", "3")
    assert code == 0
    assert out.splitlines()[-1].endswith(
        "nats held out; wrote model.onnx, metrics.jsonl, samples.txt, loss.png to book-model; "
        "next: textgen-run book-model --temp 0.5"
    )
    assert "1,764 characters to learn from, 196 held out, 14 different ones" in err
    assert "1 x 8 LSTM units" in err
    model = textgen.load("book-model/model.onnx")
    assert model.generate("DO RE", seed=1, length=10)
    assert model.training["recipe"]["seed"] == 3


@pytest.mark.usefixtures("book")
def test_options_reach_the_recipe(capsys: Captured) -> None:
    code, out, _ = run(
        capsys,
        "book.txt",
        *("-o", "my model", "--units", "6", "--layers", "2", "--dropout", "0.25", "--epochs", "1"),
        *("--batch", "2", "--slice-length", "10", "--learning-rate", "0.01", "--weight-decay", "0.1"),
        *("--held-out", "0.2", "--no-samples", "--threads", "1", "--unicode", "none"),
    )
    assert code == 0
    assert "next: textgen-run 'my model' --temp 0.5" in out
    assert "------ temperature" not in out
    assert not Path("my model/samples.txt").exists()
    model = textgen.load("my model/model.onnx")
    assert (model.engine.layers, model.engine.units) == (2, 6)
    assert model.contract.normalization.unicode is None
    recipe = model.training["recipe"]
    assert (recipe["dropout"], recipe["batch"], recipe["slice_length"]) == (0.25, 2, 10)
    assert (recipe["learning_rate"], recipe["weight_decay"]) == (0.01, 0.1)
    assert model.training["split"]["held_out_characters"] == 392


@pytest.mark.usefixtures("book")
def test_a_folder_called_like_a_model_that_ships(capsys: Captured) -> None:
    code, out, _ = run(capsys, "book.txt", *QUICK, "--no-samples", "-o", "nietzsche")
    assert code == 0
    assert out.endswith("next: textgen-run ./nietzsche --temp 0.5\n")


@pytest.mark.usefixtures("book")
def test_a_corpus_from_standard_input_and_a_held_out_file(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(TEXT.encode())))
    code, _, err = run(capsys, "-", *QUICK, "--held-out-file", "book.txt", "--no-samples")
    assert code == 0
    assert "1,960 characters to learn from, 1,959 held out" in err
    assert Path("standard-input-model/model.onnx").exists()


def test_an_earlier_model_is_not_replaced_unasked(book: Path, capsys: Captured) -> None:
    model = book.parent / "model.onnx"
    model.write_bytes(b"precious")
    code, _, err = run(capsys, "book.txt", *QUICK, "-o", ".")
    assert code == 1
    assert "model.onnx exists: choose another folder with -o, or pass --overwrite" in err
    assert model.read_bytes() == b"precious"
    assert run(capsys, "book.txt", *QUICK, "-o", ".", "--overwrite")[0] == 0
    assert textgen.load(model)


@pytest.mark.parametrize("name", ["metrics.jsonl", "samples.txt", "loss.png"])
def test_no_file_of_the_users_is_replaced_unasked(book: Path, capsys: Captured, name: str) -> None:
    (book.parent / "out").mkdir()
    mine = book.parent / "out" / name
    mine.write_bytes(b"precious")
    code, _, err = run(capsys, "book.txt", *QUICK, "--no-samples", "-o", "out")
    assert (code, err.count("\n")) == (1, 1)
    assert f"{name} exists: choose another folder with -o" in err
    assert mine.read_bytes() == b"precious"


@pytest.mark.parametrize(
    ("sources", "message"),
    [
        (("poems",), "poems/samples.txt is read, and would be replaced"),
        (("poems/samples.txt",), "poems/samples.txt is read, and would be replaced"),
        (("book.txt", "--held-out-file", "poems/samples.txt"), "poems/samples.txt is read, and would be"),
        ((".",), "poems/samples.txt is read, and would be replaced"),
    ],
)
def test_what_is_learned_from_is_never_replaced(
    book: Path, capsys: Captured, sources: tuple[str, ...], message: str
) -> None:
    poem = book.parent / "poems" / "samples.txt"
    poem.parent.mkdir()
    poem.write_text(TEXT, encoding="utf-8")
    code, _, err = run(capsys, *sources, *QUICK, "-o", "poems", "--overwrite")
    assert (code, err.count("\n")) == (1, 1)
    assert message in err
    assert poem.read_text(encoding="utf-8") == TEXT
    assert os.listdir(poem.parent) == ["samples.txt"]


@pytest.mark.usefixtures("book")
def test_a_folder_of_texts_may_hold_their_model(capsys: Captured) -> None:
    for options in ((), ("--overwrite",)):
        code, _, err = run(capsys, ".", *QUICK, *options, "-o", ".")
        assert code == 0
        assert err.startswith(f"{Path.cwd().name}: 1,764 characters to learn from")


@pytest.mark.usefixtures("book")
def test_the_default_folder_is_called_like_the_corpus(capsys: Captured) -> None:
    for name in ("letters.2020", "letters.2021"):
        Path(name).mkdir()
        Path(name, "all.txt").write_text(TEXT, encoding="utf-8")
        assert run(capsys, name, *QUICK, "--no-samples")[0] == 0
        assert Path(f"{name}-model/model.onnx").is_file()


@pytest.mark.usefixtures("book")
def test_a_folder_may_be_called_like_a_known_corpus(capsys: Captured, tmp_path: Path) -> None:
    (tmp_path / "python-docs").mkdir()
    code, _, err = run(
        capsys, "python-docs", *QUICK, "-o", "python-docs", "--held-out", "0.999", "--no-samples"
    )
    assert code == 0, err


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


@pytest.mark.usefixtures("book")
def test_a_full_disk_leaves_nothing_half_written(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    code, _, err = run(capsys, "book.txt", *QUICK)
    assert code == 1
    assert err.endswith("textgen-train: error: cannot write book-model/model.onnx: No space left on device\n")
    assert os.listdir("book-model") == [LOCK_FILE]


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


def test_version(capsys: Captured) -> None:
    assert run(capsys, "--version") == (0, f"textgen-train {__version__}\n", "")


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", ["cash$_$.txt", "红楼梦.txt", "b\udcffk.txt"])
@pytest.mark.usefixtures("book")
def test_a_corpus_may_be_called_anything(capsys: Captured, name: str) -> None:
    Path(name).write_text(TEXT, encoding="utf-8")
    code, _, err = run(capsys, name, *QUICK, "--no-samples", "-o", "out")
    assert code == 0
    assert err.count("\n") == 2


@pytest.mark.usefixtures("book")
def test_a_text_can_be_read_in_its_own_form(capsys: Captured) -> None:
    Path("signs.txt").write_text("Es hat 20\u2103, sagt Firma\u2122. " * 50, encoding="utf-8")
    assert run(capsys, "signs.txt", *QUICK, "--lowercase", "--unicode", "NFKC")[0] == 0


@pytest.mark.usefixtures("book")
def test_a_network_too_large_for_a_file(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph, "MOST_PARAMETERS", 1000)
    code, out, err = run(capsys, "book.txt", *QUICK, "--units", "16")
    assert (code, out) == (1, "")
    assert "parameters is too large for an ONNX file, which holds 1,000: lower --units or --layers" in err


@pytest.mark.usefixtures("book")
def test_no_name_of_a_held_out_text(capsys: Captured) -> None:
    code, _, err = run(capsys, "book.txt", "--held-out-file", "")
    assert (code, err.count("\n")) == (1, 1)
    assert "the corpus has no name" in err


@pytest.mark.usefixtures("book")
def test_the_textbooks_experiment(capsys: Captured) -> None:
    code, _, err = run(capsys, "book.txt", "--recipe", "classic", "--units", "8", "--epochs", "2")
    assert code == 0
    assert "1 x 8 LSTM units" in err
    model = textgen.load("book-model/model.onnx")
    assert model.contract.normalization.lowercase
    assert model.training["recipe"]["name"] == "classic"
    assert model.training["recipe"]["window"] == 60
    assert model.training["parameters"] == 4 * 8 * (14 + 8 + 1) + 14 * (8 + 1)
    assert Path("book-model/samples.txt").read_text(encoding="utf-8").count("--- generating from") == 2


@pytest.mark.usefixtures("book")
def test_a_text_too_short_for_the_textbooks_windows(capsys: Captured) -> None:
    code, _, err = run(capsys, "book.txt", "--recipe", "classic", "--window", "5000", "--epochs", "1")
    assert code == 1
    assert err.startswith("textgen-train: error: the corpus book.txt is too short: its 1764 characters")
    assert "window of 5000" in err
    assert not Path("book-model").exists()


def test_a_large_vocabulary_changes_the_preset_and_the_first_lines_say_so(
    capsys: Captured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    many = "".join(map(chr, range(0x4E00, 0x4E00 + 600))) * 4
    Path("many.txt").write_text(many, encoding="utf-8")
    code, _, err = run(capsys, "many.txt", "--units", "8", "--embedding", "6", "--epochs", "1")
    assert code == 0
    first, second = err.splitlines()[:2]
    assert first.endswith(" 600 different ones")
    # Not the embedding, which an option gives.
    assert second.startswith("with 500 symbols or more: --batch 16")
    assert "embedding" not in second
    recipe = textgen.load("many-model").training["recipe"]
    assert (recipe["embedding"], recipe["batch"]) == (6, 16)


def test_rare_symbols_are_counted_in_the_first_line(
    capsys: Captured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("rare.txt").write_text("ab" * 400 + "xy" + "ab" * 90 + "z" + "ab" * 9, encoding="utf-8")
    code, _, err = run(capsys, "rare.txt", "--min-count", "2", "--units", "8", "--epochs", "1")
    assert code == 0
    assert err.splitlines()[0].endswith(
        "3 different ones; one of them stands for 3 rare symbols, 0.22% of the training text and 1.00% of "
        "the held-out text"
    )
    model = textgen.load("rare-model")
    assert model.training["split"]["unknown"]["symbols"] == 3
    assert set(model.generate("a", length=200, temperature=2.0, seed=0)) == {"a", "b"}


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
