"""``textgen-eval`` tells how well a model predicts texts, to people and to programs."""

import bz2
import gzip
import hashlib
import json
import lzma
import math
from pathlib import Path

import pytest
from textgen_runtime import load, predict
from textgen_runtime.cli import eval as eval_module
from textgen_runtime.cli.eval import main
from textgen_runtime.corpora.corpus import read_corpus
from textgen_runtime.corpora.published import DATA_FOLDER_VARIABLE, PUBLISHED, PublishedCorpus
from textgen_runtime.model_file.metadata import NORMALIZATION_KEY
from textgen_runtime.scoring.compressors import COMPRESSORS
from textgen_runtime.scoring.prediction import Score

from tests.helpers.commands import Captured, run_here
from tests.helpers.eval_command import ONE, OTHER, run
from tests.helpers.make_tiny_model import make_model
from tests.helpers.paths import TINY


@pytest.mark.usefixtures("texts")
def test_a_score_for_people(capsys: Captured) -> None:
    code, out, err = run(capsys, "one.txt")
    assert (code, err) == (0, "")
    score = predict(load(TINY), ONE).score
    first, second, third = out.splitlines()
    assert first.startswith(f"one.txt: {len(ONE) - 1} characters predicted, ")
    assert first.endswith(" characters/s")
    assert second == (
        f"  {score.nats:.4f} nats a character, {score.bits:.4f} bits, perplexity {score.perplexity:.3f}, "
        f"likeliest character right {score.accuracy:.1%}"
    )
    assert third.startswith(f"  bits a character: model {score.bits:.3f}  gzip ")


@pytest.mark.usefixtures("texts")
def test_a_score_for_programs(capsys: Captured) -> None:
    code, out, _ = run(capsys, "one.txt", "other.txt", "--json")
    assert code == 0
    document = json.loads(out)
    model = load(TINY)
    assert document["sha256"] == model.sha256
    assert document["engine"] == model.engine.name
    assert [text["name"] for text in document["texts"]] == ["one.txt", "other.txt"]
    for figures, text in zip(document["texts"], (ONE, OTHER), strict=True):
        score = predict(model, text).score
        for name in ("characters", "nats", "bits", "perplexity", "accuracy"):
            assert figures[name] == getattr(score, name)
        content = text[1:].encode()
        assert figures["compressors"] == {
            "gzip": 8 * len(gzip.compress(content)) / (len(text) - 1),
            "bz2": 8 * len(bz2.compress(content)) / (len(text) - 1),
            "xz": 8 * len(lzma.compress(content)) / (len(text) - 1),
        }
    (one, other), whole = document["texts"], document["all"]
    assert whole["characters"] == one["characters"] + other["characters"]
    weighted = one["nats"] * one["characters"] + other["nats"] * other["characters"]
    assert whole["nats"] == pytest.approx(weighted / whole["characters"])


@pytest.mark.usefixtures("texts")
def test_several_texts_are_summed_up(capsys: Captured) -> None:
    _, out, _ = run(capsys, "one.txt", "other.txt")
    names = [line.split(":")[0] for line in out.splitlines() if not line.startswith(" ")]
    assert names == ["one.txt", "other.txt", "all together"]


@pytest.mark.usefixtures("texts")
def test_the_last_share(capsys: Captured) -> None:
    _, out, _ = run(capsys, "one.txt", "--last", "0.5", "--json")
    document = json.loads(out)
    assert document["texts"][0]["characters"] == len(ONE) // 2
    assert (document["last"], document["unknown"]) == (0.5, "error")
    _, out, _ = run(capsys, "one.txt", "--last", "0.5")
    assert out.startswith(f"one.txt: {len(ONE) // 2} characters predicted, the last 0.5 of the text, ")
    code, _, err = run(capsys, "one.txt", "--last", "0.001")
    assert code == 1
    assert f"found 1 in the last 1 of {len(ONE)} characters" in err


def test_a_folder_and_corpora_known_by_name(
    capsys: Captured, texts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As training reads them, so that the same share is the same characters."""
    content = ONE.encode()
    published = PublishedCorpus("https://example.invalid", hashlib.sha256(content).hexdigest())
    monkeypatch.setitem(PUBLISHED, "nietzsche", published)
    monkeypatch.setenv(DATA_FOLDER_VARIABLE, str(texts / "data"))
    (texts / "data").mkdir()
    (texts / "data" / "nietzsche.txt").write_bytes(content)
    (texts / "letters" / "sub").mkdir(parents=True)
    (texts / "letters" / "a.txt").write_text(ONE.rstrip(), encoding="utf-8")
    (texts / "letters" / "sub" / "b.txt").write_text(OTHER, encoding="utf-8")
    options = ("--last", "0.3", "--json")
    code, out, err = run(capsys, "nietzsche", "letters", "python-docs", "--unknown", "skip", *options)
    assert (code, err) == (0, "")
    found = json.loads(out)["texts"]
    assert [text["name"] for text in found] == ["nietzsche", "letters", "python-docs"]
    model = load(TINY)
    for figures, text in zip(found, (ONE, ONE + OTHER, read_corpus("python-docs").text), strict=True):
        assert figures["nats"] == predict(model, text, last=0.3, unknown="skip").score.nats


def test_unknown_characters(capsys: Captured, texts: Path) -> None:
    (texts / "one.txt").write_text("abxyc", encoding="utf-8")
    code, out, err = run(capsys, "one.txt")
    assert (code, out) == (1, "")
    assert err.startswith("textgen-eval: error: one.txt: not in the model's vocabulary: 'x' (U+0078), 'y'")
    assert err.count("\n") == 1
    code, out, _ = run(capsys, "one.txt", "--unknown", "skip")
    assert code == 0
    assert out.startswith("one.txt: 2 characters predicted, 2 unknown ones skipped, ")


def test_texts_in_lower_case(capsys: Captured, texts: Path) -> None:
    model = make_model()
    next(
        entry for entry in model.metadata_props if entry.key == NORMALIZATION_KEY
    ).value = '{"lowercase": false, "unicode": "NFC"}'
    (texts / "lower.onnx").write_bytes(model.SerializeToString())
    (texts / "capitals.txt").write_text(ONE.upper(), encoding="utf-8")
    code, _, err = run_here(main, capsys, "lower.onnx", "capitals.txt")
    assert code == 1
    assert "command line: --lowercase" in err
    code, out, _ = run_here(main, capsys, "lower.onnx", "capitals.txt", "--lowercase", "--json")
    document = json.loads(out)
    assert (code, document["lowercase"]) == (0, True)
    assert document["all"]["nats"] == predict(load("lower.onnx"), ONE).score.nats


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the corpus one.txt is empty"),
        (
            b"a",
            "one.txt: nothing to predict: at least 2 characters",
        ),
        (b"\xff\xfe", "one.txt is not UTF-8"),
        (b"a\x00b", "one.txt is not a text"),
    ],
)
def test_texts_that_cannot_be_scored(capsys: Captured, texts: Path, content: bytes, message: str) -> None:
    (texts / "one.txt").write_bytes(content)
    code, out, err = run(capsys, "one.txt")
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert message in err


@pytest.mark.usefixtures("texts")
def test_a_missing_text(capsys: Captured) -> None:
    assert run(capsys, "none.txt")[0] == 1


@pytest.mark.parametrize(
    "wrong",
    [
        [],
        ["one.txt", "--last", "0"],
        ["one.txt", "--last", "2"],
        ["one.txt", "--engine", "x"],
        ["-", "one.txt", "-"],
        ["one.txt", "--surprise", "-"],
    ],
)
@pytest.mark.usefixtures("texts")
def test_wrong_usage(capsys: Captured, wrong: list[str]) -> None:
    code, out, err = run(capsys, *wrong)
    assert (code, out, err.count("\n")) == (2, "", 1)


@pytest.mark.usefixtures("texts")
def test_a_text_that_cannot_be_scored_costs_no_other_its_score(capsys: Captured) -> None:
    code, out, err = run(capsys, "one.txt", "none.txt", "other.txt")
    assert code == 1
    names = [line.split(":")[0] for line in out.splitlines() if not line.startswith(" ")]
    assert names == ["one.txt", "other.txt", "all together"]
    assert err.startswith("textgen-eval: error: no file or folder none.txt; the named corpora are ")


@pytest.mark.usefixtures("texts")
def test_a_model_that_rules_a_text_out(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    """JSON has no infinity: strict readers would take none of it."""
    monkeypatch.setattr(Score, "perplexity", property(lambda _: math.inf))
    code, out, _ = run(capsys, "one.txt", "--json")
    assert code == 0
    assert json.loads(out)["all"]["perplexity"] is None


@pytest.mark.usefixtures("texts")
def test_engines_agree(capsys: Captured) -> None:
    scores = [
        json.loads(run(capsys, "one.txt", "--json", "--engine", engine)[1])["all"]["nats"]
        for engine in ("native", "onnxruntime")
    ]
    assert scores[0] == pytest.approx(scores[1], abs=1e-5)


@pytest.mark.usefixtures("texts")
def test_too_little_memory_is_an_error_in_a_line(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(*_: object, **__: object) -> bytes:
        raise MemoryError

    monkeypatch.setitem(COMPRESSORS, "xz", none_left)
    message = "textgen-eval: error: one.txt: there is not enough memory for this text\n"
    assert run(capsys, "one.txt") == (1, "", message)
    # Elsewhere too.
    monkeypatch.setattr(eval_module, "load", none_left)
    assert run(capsys, "one.txt") == (1, "", "textgen-eval: error: there is not enough memory for this\n")
