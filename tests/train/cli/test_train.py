"""``textgen-train`` trains models as its options specify."""

import io
import shlex
import sys
from pathlib import Path

import pytest
import textgen_runtime as textgen
from textgen_runtime.cli.run import main as generate
from textgen_runtime.cli.web import main as write_page
from textgen_runtime.corpus import EMBEDDED, Corpus
from textgen_train.cli._arguments import parse
from textgen_train.cli._texts import Texts
from textgen_train.cli.quantize import main as quantize
from textgen_train.cli.train import specify
from textgen_train.loop.ranks import SINGLE
from textgen_train.loop.specification import RunSpecification
from textgen_train.loop.trainer import Trainer
from textgen_train.presets import CHOICES

from tests.helpers.commands import Captured, run_here
from tests.helpers.report_pages import Page
from tests.helpers.train_command import QUICK, TEXT, run

COMMANDS = {"textgen-run": generate, "textgen-web": write_page, "textgen-quantize": quantize}


@pytest.mark.usefixtures("book")
def test_a_run_writes_a_model(capsys: Captured) -> None:
    code, out, err = run(capsys, "book.txt", *QUICK, "--lowercase", "--unicode", "none", "--seed", "3")
    assert code == 0
    *_, result, next_command, page, quantized = out.splitlines()
    assert result.startswith("held-out loss ")
    assert result.endswith(
        "; wrote model.onnx, metrics.jsonl, samples.txt, loss.svg, report.html, checkpoint.safetensors "
        "to book-model"
    )
    assert next_command == "next: textgen-run book-model --temp 0.5"
    assert page == "a page for the browser: textgen-web book-model"
    assert quantized == "a quarter of the size: textgen-quantize book-model -o book-model/model.int8.onnx"
    assert "1,764 training characters, 196 held-out characters, 14 symbols" in err
    assert "2 x 8 LSTM units" in err
    report = Page(Path("book-model/report.html").read_text(encoding="utf-8")).text
    assert f"textgen-train book.txt {' '.join(QUICK)} --lowercase" in report
    assert "Recipe: preset small" in report
    assert report.count("(changed)") == 2
    model = textgen.load("book-model/model.onnx")
    assert model.generate("DO RE", seed=1, length=10)
    assert model.training["recipe"]["seed"] == 3
    assert model.metadata.normalization == textgen.Normalization(lowercase=True, unicode=None)


@pytest.mark.usefixtures("book")
def test_a_run_mentions_a_file_that_has_the_name_of_its_corpus(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(EMBEDDED, "python-docs", lambda: TEXT)
    Path("book.txt").rename("python-docs")
    code, _, err = run(capsys, "python-docs", *QUICK, "--no-samples")
    assert code == 0
    assert (
        "\nhint: python-docs is the name of a corpus; for the file or folder with this name, pass ./" in err
    )


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


def specified(text: str, *words: str) -> RunSpecification:
    """Return the specification of a run on a text."""
    options = parse(["text.txt", *words]).run
    assert options
    texts = Texts(Corpus.from_text("text.txt", text), None)
    return specify(options, texts, texts.read(options, None), None, [], SINGLE)


def test_the_preset_depends_on_the_measured_speed(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    """Faster machines train for more epochs in the same time, and overfit more."""
    first, *_, last = [row.recipe for row in CHOICES if row.preset == "small" and not row.is_large_vocabulary]
    for speed, row in ((1e-3, first), (1e9, last)):
        monkeypatch.setattr(Trainer, "measure_speed", lambda _, __, speed=speed: speed)
        specification = specified(TEXT, "--minutes", "0.01", "--threads", "1")
        assert specification.recipe == row
        assert specification.expected_epochs == pytest.approx(0.6 * speed / 1764)
        assert f"--weight-dropout {row.weight_dropout}" in capsys.readouterr().err


def test_a_large_vocabulary_changes_the_preset_and_prints_the_changes(capsys: Captured) -> None:
    text = "".join(map(chr, range(0x4E00, 0x4E00 + 600))) * 4
    recipe = specified(text, "--embedding", "6", "--epochs", "1").recipe
    assert (recipe.embedding, recipe.batch) == (6, 16)  # type: ignore[union-attr]
    line = capsys.readouterr().err
    start = "preset values for this corpus and 1 epoch: --units 144, --layers 1, --dropout 0.2, "
    assert line.startswith(start)
    # An option sets the embedding, so it is not among the changes.
    assert "embedding" not in line


@pytest.mark.parametrize(
    ("options", "offered"),
    [
        (["--recipe", "classic", "--units", "8", "--epochs", "1"], ["textgen-run"]),
        ([*QUICK, "--cell", "conv"], ["textgen-run"]),
        ([*QUICK, "--level", "byte"], ["textgen-run", "textgen-web", "textgen-quantize"]),
    ],
    ids=["classic", "convolutions", "bytes"],
)
@pytest.mark.usefixtures("book")
def test_the_last_lines_offer_what_the_model_is_for(
    capsys: Captured, options: list[str], offered: list[str]
) -> None:
    _, out, _ = run(capsys, "book.txt", *options, "--no-samples", "-o", "my model")
    commands = [shlex.split(line.partition(": ")[2]) for line in out[out.index("next: ") :].splitlines()]
    assert [words[0] for words in commands] == offered
    assert {words[1] for words in commands} == {"my model"}


@pytest.mark.usefixtures("book")
def test_the_commands_of_the_last_lines_run(capsys: Captured) -> None:
    _, out, _ = run(capsys, "book.txt", *QUICK, "--no-samples", "-o", "my model")
    for line in out.splitlines()[-3:]:
        name, *arguments = shlex.split(line.partition(": ")[2])
        assert run_here(COMMANDS[name], capsys, *arguments)[0] == 0
    assert Path("my model/model.int8.onnx").exists()
    assert Path("my model-site/index.html").exists()
    assert "textgen-quantize" not in run(capsys, "--resume", "my model")[1]
