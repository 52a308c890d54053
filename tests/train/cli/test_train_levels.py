"""``textgen-train --level``: models of bytes and of words."""

import json
import random
from pathlib import Path

import pytest
import textgen_runtime as textgen
from textgen_runtime.cli.eval import main as evaluate

from tests.helpers.commands import Captured, run_here
from tests.helpers.train_command import run

QUICK = ("--units", "8", "--embedding", "4", "--epochs", "1", "--held-out", "0.1")
WORDS = ("do", "re", "fä", "la", "日本", "naïve", "und", "über")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write a text, a list and a binary file."""
    monkeypatch.chdir(tmp_path)
    rng = random.Random(0)
    text = "".join(rng.choice(WORDS) + rng.choice((" ", " ", ", ", ".\r\n")) for _ in range(1500))
    Path("book.txt").write_bytes(text.encode())
    names = "".join(f"{rng.choice(WORDS)}{rng.choice(WORDS)} {rng.choice(WORDS)}\n" for _ in range(500))
    Path("names.txt").write_text(names, encoding="utf-8")
    Path("file.bin").write_bytes(bytes(rng.choice(b"\x00\xff\xc3\xa9ab\xe2\x82\xac") for _ in range(4000)))
    return tmp_path


CASES = {
    "byte": ("book.txt", "--level", "byte"),
    "binary": ("file.bin", "--level", "byte"),
    "byte records": ("names.txt", "--level", "byte", "--records", "lines"),
    "word records": ("names.txt", "--level", "word", "--records", "lines"),
    "rare characters": ("book.txt", "--level", "word", "--min-count", "200"),
}


@pytest.mark.parametrize("case", CASES)
def test_the_runtime_computes_the_same_held_out_loss(capsys: Captured, case: str) -> None:
    corpus, _, level, *_ = CASES[case]
    code, out, err = run(capsys, *CASES[case], *QUICK, "--no-samples", "-o", "out")
    assert code == 0, err
    model = textgen.load("out")
    assert model.tokenizer.level == level
    code, out, err = run_here(evaluate, capsys, "out/model.onnx", corpus, "--last", "0.1", "--json")
    assert code == 0, err
    score = json.loads(out)["all"]
    assert score["nats"] == pytest.approx(model.training["held_out_nats"], rel=1e-9)
    split = model.training["split"]
    assert score["characters"] == split["held_out_characters"]
    report = Path("out/report.html").read_text("utf-8")
    # A binary file is no text to begin with.
    assert ("Copied text" in report) == (case != "binary")
    assert ("A record of fewer than 30 characters" in report) == ("records" in case)
    assert score["tokens"] == split["held_out_tokens"] != split["held_out_characters"]
    evaluation = model.training["evaluation"]
    # The losses of the training text are per character, too, so they are similar.
    assert evaluation["training_nats"] == pytest.approx(evaluation["training_eval_nats"], rel=0.15)
    assert evaluation["training_nats"] == pytest.approx(evaluation["held_out_nats"], rel=0.35)


def test_a_binary_file_has_no_prompts_and_no_samples(capsys: Captured) -> None:
    code, _, err = run(capsys, *CASES["binary"], *QUICK)
    assert code == 0, err
    assert textgen.load("file-model").prompts == ()
    with pytest.raises(textgen.PromptError, match="pass one as prompt"):
        textgen.load("file-model").generate(None, length=10)
    assert Path("file-model/report.html").exists()


def test_a_separate_held_out_file_begins_within_a_character(capsys: Captured) -> None:
    """Its first byte is not scored, but the character of this byte is."""
    Path("other.txt").write_text("日本 la do re mi", encoding="utf-8")
    options = (*QUICK[:-2], "--no-samples", "-o", "out", "--held-out-file", "other.txt")
    code, _, err = run(capsys, *CASES["byte"], *options)
    assert code == 0, err
    score = textgen.predict(textgen.load("out"), "日本 la do re mi").score
    training = textgen.load("out").training
    assert training["split"]["held_out_characters"] == score.characters == 14
    assert training["held_out_nats"] == pytest.approx(score.nats, rel=1e-9)


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        (b"word " * 500, ("--level", "word"), "contains only the word 'word'"),
        (b"ab\xff" * 500, (), "with --level byte"),
        (b"do re mi " * 100, ("--level", "word", "--vocabulary-size", "7"), "raise --vocabulary-size"),
    ],
)
def test_corpora_that_do_not_fit(
    capsys: Captured, content: bytes, options: tuple[str, ...], message: str
) -> None:
    Path("text.txt").write_bytes(content)
    code, out, err = run(capsys, "text.txt", *QUICK, *options)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert message in err
    assert len(err) < 250
