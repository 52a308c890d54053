"""``textgen-train CORPUS --from MODEL``: training continues from the weights of a model."""

import hashlib
import json
import re
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import textgen_runtime as textgen
import torch
from textgen_runtime.corpus import Corpus
from textgen_runtime.model_file import Metadata, make_tokenizer
from textgen_runtime.score import surprisals
from textgen_runtime.text import Normalization
from textgen_runtime.tokenizer import SpecialTokens
from textgen_train.cli import _training_run
from textgen_train.cli._fine_tuning import nearest_preset, read_parent, with_parent
from textgen_train.cli._texts import Texts
from textgen_train.cli.train import print_start
from textgen_train.export.exporter import build_checked
from textgen_train.export.model_weights import read_weights
from textgen_train.models.cells import CharLSTM
from textgen_train.options import RunOptions

from tests.helpers.commands import Captured
from tests.helpers.make_tiny_model import make_model
from tests.helpers.train_command import TEXT, run
from tests.helpers.training_runs import InterruptAt, timeless_results

BUDGET = ("--epochs", "4", "--threads", "1", "--no-samples")
TUNED = ("--from", "old", *BUDGET, "-o", "tuned")
# Two symbols that the model lacks: one in the training text, and one only in the held-out text.
NEW_TEXT = TEXT.replace("fa", "f\u00e4") + "x"


@cache
def old_model(*, unknown: bool = False) -> bytes:
    """Return a model file with random weights for the lower-case text."""
    torch.manual_seed(0)
    symbols = [""] * unknown + sorted(set(TEXT.lower()))
    tokenizer = make_tokenizer("character", symbols, SpecialTokens(unknown=0 if unknown else None))
    network = CharLSTM(len(symbols), units=9, layers=2, embedding=5)
    metadata = Metadata(tokenizer, Normalization(True, None), training={"corpus": "book.txt"})
    return build_checked(network, metadata).content


@pytest.fixture(autouse=True)
def _files(book: Path) -> None:
    """Write the model and another text beside ``book.txt``."""
    Path("old").mkdir()
    Path("old/model.onnx").write_bytes(old_model())
    (book.parent / "new.txt").write_text(NEW_TEXT, encoding="utf-8")


def metrics(folder: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (Path(folder) / "metrics.jsonl").read_text().splitlines()]


def test_the_start_is_evaluated_before_the_first_update(capsys: Captured) -> None:
    code, out, err = run(capsys, "book.txt", "--from", "old/model.onnx", *BUDGET, "-o", "tuned")
    assert code == 0, err
    assert err.startswith("book.txt: ")
    assert err.splitlines()[1] == "starting from old/model.onnx, trained on 'book.txt'; preset small"
    assert "2 x 9 LSTM units" in err
    assert out.startswith("epoch 0.0, 0 s: held-out loss ")
    start, *_, last = metrics("tuned")
    assert (start["step"], start["epoch"], start["learning_rate"]) == (0, 0.0, 0.0)
    assert start["training_nats"] == start["training_eval_nats"]
    assert "characters_per_second" not in start
    assert last["held_out_nats"] < start["held_out_nats"]
    old, tuned = textgen.load("old"), textgen.load("tuned")
    first = tuned.training["split"]["training_characters"]
    tokens = np.array(old.tokenizer.encode(TEXT.lower()[first - 1 :]))
    assert start["held_out_nats"] == pytest.approx(surprisals(old.engine, tokens)[0].mean(), rel=1e-12)


def test_the_model_determines_network_vocabulary_and_normalization(capsys: Captured) -> None:
    assert run(capsys, "book.txt", *TUNED, "--dropout", "0.2")[0] == 0
    old, tuned = textgen.load("old"), textgen.load("tuned")
    assert tuned.tokenizer == old.tokenizer
    assert tuned.metadata.normalization == Normalization(True, None)
    assert tuned.engine.core.size == old.engine.core.size
    assert tuned.training["parent"] == {
        "sha256": hashlib.sha256(old_model()).hexdigest(),
        "corpus": "book.txt",
    }
    recipe = tuned.training["recipe"]
    assert (recipe["units"], recipe["layers"], recipe["embedding"], recipe["dropout"]) == (9, 2, 5, 0.2)


@pytest.mark.parametrize(
    ("held_out", "corpus", "options", "share"),
    [
        # The model held out a fifth of its corpus.
        ("the last 20%", TEXT, {"held_out": 0.2}, None),
        ("the last 20%", TEXT, {"held_out": 0.1}, None),
        ("the last 20%", TEXT + "si", {"held_out": 0.5}, None),
        ("the last 20%", TEXT, {"held_out": 0.5}, 60),
        ("the last 20%", TEXT + "si", {"held_out_file": "book.txt"}, 80),
        # It held out another text.
        ({"corpus": "other.txt"}, TEXT, {"held_out": 0.1}, 100),
    ],
)
def test_a_held_out_text_that_the_model_was_trained_on_is_warned_about(
    capsys: Captured, held_out: object, corpus: str, options: dict[str, Any], share: int | None
) -> None:
    split = {"held_out": held_out, "held_out_characters": len(TEXT) // 5}
    sha256 = hashlib.sha256(TEXT.encode()).hexdigest()
    parent = read_parent("old")
    parent = replace(parent, metadata=parent.metadata._replace(training={"sha256": sha256, "split": split}))
    run_options = with_parent(RunOptions("text.txt", parent="old", extend=True, **options), parent)
    other = Corpus.from_text("book.txt", TEXT) if "held_out_file" in options else None
    texts = Texts(Corpus.from_text("text.txt", corpus), other)
    print_start(texts, texts.read(run_options, None, parent.tokenizer), run_options, parent)
    err = capsys.readouterr().err
    found = re.search(r"was trained on (\d+)% of the held-out text, so the held-out loss is too low", err)
    assert (found and int(found[1])) == share


def test_a_list_gets_no_hint_if_a_model_determines_the_records(capsys: Captured) -> None:
    texts, parent = Texts(Corpus.from_text("text.txt", TEXT * 3), None), read_parent("old")
    for model, has_hint in ((None, True), (parent, False)):
        options = RunOptions("text.txt", lowercase=True, unicode="none")
        print_start(texts, texts.read(options, None, model.tokenizer if model else None), options, model)
        assert ("hint: the corpus looks like a list" in capsys.readouterr().err) is has_hint


def test_the_start_stays_if_no_later_model_is_better(capsys: Captured) -> None:
    code, out, err = run(capsys, "book.txt", *TUNED, "--learning-rate", "900", "--muon-lr", "900")
    assert code == 0, err
    start, *_, last = metrics("tuned")
    assert last["held_out_nats"] > start["held_out_nats"]
    *_, result, hint, _, _, _ = out.splitlines()
    assert result.startswith(f"held-out loss {start['held_out_nats']:.4f} nats, training loss ")
    assert hint == (
        "no update has improved the model of --from, whose weights are in tuned/model.onnx: try a larger "
        "budget or lower learning rates"
    )
    content = Path("tuned/model.onnx").read_bytes()
    for layer, expected in zip(read_weights(content), read_weights(old_model()), strict=True):
        for name, array in expected.items():
            np.testing.assert_array_equal(layer[name], array)


def test_the_preset_is_the_one_with_the_nearest_network() -> None:
    assert [nearest_preset(1, units) for units in (8, 190, 220, 4000)] == [
        "small",
        "small",
        "medium",
        "large",
    ]
    assert nearest_preset(2, 160) == "medium"
    options = with_parent(RunOptions("book.txt", parent="old", preset="medium"), read_parent("old"))
    assert options.preset == "medium"
    assert with_parent(RunOptions("book.txt", parent="old"), read_parent("old")).preset == "small"


def test_new_symbols_are_listed(capsys: Captured) -> None:
    code, out, err = run(capsys, "new.txt", *TUNED)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert err.endswith(
        "the corpus new.txt has symbols that the model does not know: 'x' (U+0078), '\u00e4' (U+00E4); add "
        "them to the model with --extend\n"
    )
    assert not Path("tuned").exists()
    err = run(capsys, "book.txt", *TUNED, "--held-out-file", "new.txt")[2]
    assert "the corpus new.txt has symbols that the model does not know" in err


def test_new_symbols_extend_the_model(capsys: Captured) -> None:
    code, _, err = run(capsys, "new.txt", *TUNED, "--extend")
    assert code == 0, err
    assert "\nadded to the vocabulary: 'x' (U+0078), '\u00e4' (U+00E4)\n" in err
    old, tuned = textgen.load("old"), textgen.load("tuned")
    assert tuned.tokenizer.symbols == (*old.tokenizer.symbols, "x", "\u00e4")
    assert tuned.generate("do re mi f\u00e4", length=20, seed=0)
    start, *_, last = metrics("tuned")
    assert last["held_out_nats"] < start["held_out_nats"]


def test_the_unknown_symbol_replaces_new_symbols(capsys: Captured) -> None:
    Path("old/model.onnx").write_bytes(old_model(unknown=True))
    code, _, err = run(capsys, "new.txt", *TUNED)
    assert code == 0, err
    assert "the unknown symbol replaces 2 rare symbols" in err
    assert textgen.load("tuned").tokenizer == textgen.load("old").tokenizer
    assert run(capsys, "new.txt", *TUNED, "--extend", "--overwrite")[0] == 0
    assert textgen.load("tuned").tokenizer.symbols[-2:] == ("x", "\u00e4")


def test_an_interrupted_run_ends_as_one_that_was_not(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is interrupted before the first update, and after two. The model is deleted in between."""
    options = ("new.txt", "--from", "old", "--extend", "--epochs", "4", "--threads", "1")
    assert run(capsys, *options, "-o", "unbroken")[0] == 0
    # The first check comes before the evaluation of the start, and the second one after it.
    for checks, arguments in ((2, (*options, "-o", "out")), (3, ("--resume", "out"))):
        with monkeypatch.context() as patch:
            patch.setattr(_training_run, "deferred_interrupts", lambda: InterruptAt(checks))  # noqa: B023
            assert run(capsys, *arguments)[0] == 130
        Path("old/model.onnx").unlink(missing_ok=True)
    code, _, err = run(capsys, "--resume", "out")
    assert code == 0, err
    assert timeless_results(Path("out")) == timeless_results(Path("unbroken"))
    expected = textgen.load("unbroken")
    assert textgen.load("out").training["parent"] == expected.training["parent"]
    assert textgen.load("out").metadata.normalization == expected.metadata.normalization


def test_the_model_is_not_replaced(capsys: Captured) -> None:
    code, _, err = run(capsys, "book.txt", "--from", "old", *BUDGET, "-o", "old", "--overwrite")
    assert code == 1
    assert "old/model.onnx is an input; refusing to overwrite it: choose another folder with -o" in err
    assert Path("old/model.onnx").read_bytes() == old_model()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "the folder old has no model.onnx"),
        (b"no model", "old: "),
        # Only onnxruntime runs it.
        (make_model(cell="gru").SerializeToString(), "old: "),
    ],
)
def test_a_model_that_cannot_be_trained(capsys: Captured, content: bytes | None, message: str) -> None:
    Path("old/model.onnx").write_bytes(content) if content else Path("old/model.onnx").unlink()
    code, out, err = run(capsys, "book.txt", *TUNED)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert err.startswith(f"textgen-train: error: {message}")
    assert not Path("tuned").exists()


def test_models_of_records_and_of_words_are_trained_further(capsys: Captured) -> None:
    small = ("--units", "8", "--layers", "2", "--embedding", "4", "--residual")
    options = (*BUDGET, "--held-out", "0.3")
    names = [f"{a}{b} {a}" for a in "abcdefgh" for b in ("na", "le", "rio")]
    Path("names.txt").write_text("\n".join(names * 2), encoding="utf-8")
    first = ("--records", "lines", "--level", "word", *small, *options)
    assert run(capsys, "names.txt", *first, "-o", "first")[0] == 0
    code, _, err = run(capsys, "names.txt", "--from", "first", *options, "-o", "second")
    assert code == 0, err
    assert "2 x 8 LSTM units, residual, " in err
    first_model, second_model = textgen.load("first"), textgen.load("second")
    assert second_model.metadata.records == "lines"
    assert second_model.tokenizer == first_model.tokenizer
    assert second_model.engine.core.size == first_model.engine.core.size
    assert metrics("second")[0]["held_out_nats"] == first_model.training["held_out_nats"]


def test_a_file_that_is_not_text_gets_no_hint_at_a_level_that_the_model_lacks(capsys: Captured) -> None:
    Path("bin.dat").write_bytes(b"ab\xff" * 500)
    code, _, err = run(capsys, "bin.dat", *TUNED)
    assert code == 1
    assert err.startswith("textgen-train: error: bin.dat is not UTF-8: byte 2 is 0xff")
    assert "--level" not in err
