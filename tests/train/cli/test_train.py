"""``textgen-train`` trains models as its options specify."""

import io
import sys
from pathlib import Path

import pytest
import textgen_runtime as textgen
from textgen_train.loop.checkpoint_file import read_checkpoint
from textgen_train.loop.stateful_trainer import StatefulTrainer
from textgen_train.presets import REGULARIZATION

from tests.helpers.commands import Captured
from tests.helpers.train_command import QUICK, TEXT, run


@pytest.mark.usefixtures("book")
def test_a_run_writes_a_model(capsys: Captured) -> None:
    code, out, err = run(capsys, "book.txt", *QUICK, "--lowercase", "--unicode", "none", "--seed", "3")
    assert code == 0
    *_, result, next_command = out.splitlines()
    assert result.startswith("held-out loss ")
    assert result.endswith(
        " nats; wrote model.onnx, metrics.jsonl, samples.txt, loss.svg, report.html, checkpoint.safetensors "
        "to book-model"
    )
    assert next_command == "next: textgen-run book-model --temp 0.5"
    assert "1,764 training characters, 196 held-out characters, 14 symbols" in err
    assert "2 x 8 LSTM units" in err
    model = textgen.load("book-model/model.onnx")
    assert model.generate("DO RE", seed=1, length=10)
    assert model.training["recipe"]["seed"] == 3
    assert model.metadata.normalization == textgen.Normalization(lowercase=True, unicode=None)


@pytest.mark.usefixtures("book")
def test_corpus_from_standard_input_with_a_held_out_file(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(TEXT.encode())))
    code, _, err = run(capsys, "-", *QUICK, "--held-out-file", "book.txt", "--no-samples")
    assert code == 0
    assert "1,960 training characters, 1,959 held-out characters" in err
    assert Path("standard-input-model/model.onnx").exists()
    # The held-out text is the corpus.
    assert "textgen-train: warning: the held-out text is the corpus itself, so the held-out loss is" in err


@pytest.mark.usefixtures("book")
def test_classic_recipe(capsys: Captured) -> None:
    code, _, err = run(capsys, "book.txt", "--recipe", "classic", "--units", "8", "--epochs", "2")
    assert code == 0
    assert "1 x 8 LSTM units" in err
    model = textgen.load("book-model/model.onnx")
    assert model.metadata.normalization.lowercase
    assert model.training["recipe"]["name"] == "classic"
    assert model.training["recipe"]["window"] == 60
    assert model.training["parameters"] == 4 * 8 * (14 + 8 + 1) + 14 * (8 + 1)
    assert Path("book-model/samples.txt").read_text(encoding="utf-8").count("--- generating from") == 2


@pytest.mark.usefixtures("book")
def test_the_preset_depends_on_the_measured_speed(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    """Faster machines train for more epochs in the same time, and overfit more."""
    first, *_, last = REGULARIZATION["small"]
    for speed, row in ((1e-3, first), (1e9, last)):
        monkeypatch.setattr(StatefulTrainer, "measure_speed", lambda _, __, speed=speed: speed)
        options = ("--minutes", "0.01", "--units", "8", "--threads", "1", "--no-samples", "--overwrite")
        code, _, err = run(capsys, "book.txt", *options)
        assert code == 0
        recipe = textgen.load("book-model").training["recipe"]
        assert {name: recipe[name] for name in row.values} == row.values
        assert f"--weight-dropout {row.values['weight_dropout']}" in err.splitlines()[1]
        checkpoint = read_checkpoint(Path("book-model/checkpoint.safetensors"))
        assert checkpoint.run["expected_epochs"] == pytest.approx(0.6 * speed / 1764)


def test_a_large_vocabulary_changes_the_preset_and_prints_the_changes(
    capsys: Captured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = "".join(map(chr, range(0x4E00, 0x4E00 + 600))) * 4
    Path("many.txt").write_text(text, encoding="utf-8")
    code, _, err = run(capsys, "many.txt", "--units", "8", "--embedding", "6", "--epochs", "1")
    assert code == 0
    first, second = err.splitlines()[:2]
    assert first.endswith(" 600 symbols")
    # An option sets the embedding, so it is not among the changes.
    assert second.startswith(
        "preset values for this corpus and 1 epoch: --layers 1, --dropout 0.1, --batch 16"
    )
    assert "embedding" not in second
    recipe = textgen.load("many-model").training["recipe"]
    assert (recipe["embedding"], recipe["batch"]) == (6, 16)


def test_the_first_line_counts_rare_symbols(
    capsys: Captured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("rare.txt").write_text("ab" * 400 + "xy" + "ab" * 90 + "z" + "ab" * 9, encoding="utf-8")
    code, _, err = run(capsys, "rare.txt", "--min-count", "2", "--units", "8", "--epochs", "1")
    assert code == 0
    assert err.splitlines()[0].endswith(
        "3 symbols; the unknown symbol replaces 3 rare symbols, 0.22% of the training text and 1.00% of the "
        "held-out text"
    )
    model = textgen.load("rare-model")
    assert model.training["split"]["unknown"]["symbols"] == 3
    assert set(model.generate("a", length=200, temperature=2.0, seed=0)) == {"a", "b"}
