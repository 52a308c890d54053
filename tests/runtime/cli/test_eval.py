"""``textgen-eval``: scores as text and as JSON, and errors."""

import json
import math
from pathlib import Path

import pytest
from textgen_runtime import Model, load, predict
from textgen_runtime.cli import eval as eval_module
from textgen_runtime.cli.eval import EvalResult, combined, main
from textgen_runtime.corpora.corpus import read_corpus
from textgen_runtime.model_file import NORMALIZATION_KEY
from textgen_runtime.scoring.baselines import COMPRESSORS, compressed_bits
from textgen_runtime.scoring.prediction import Score

from tests.helpers.commands import Captured, run_here
from tests.helpers.eval_command import ONE, OTHER, run
from tests.helpers.paths import TINY
from tests.helpers.run_command import CASE_UNCHANGED, tiny_with


@pytest.mark.usefixtures("texts")
def test_the_score_is_printed_as_text(capsys: Captured) -> None:
    code, out, err = run(capsys, "one.txt")
    assert (code, err) == (0, "")
    score = predict(load(TINY), ONE).score
    first, second, third = out.splitlines()
    assert first.startswith(f"one.txt: {len(ONE) - 1} characters scored, ")
    assert first.endswith(" characters/s")
    assert second == (
        f"  {score.nats:.4f} nats per character, {score.bits:.4f} bits per character, "
        f"perplexity {score.perplexity:.3f}, accuracy {score.accuracy:.1%}"
    )
    assert third.startswith(f"  bits per character: model {score.bits:.3f}  gzip ")


@pytest.mark.usefixtures("texts")
def test_the_score_is_printed_as_json(capsys: Captured) -> None:
    code, out, _ = run(capsys, "one.txt", "other.txt", "--json")
    assert code == 0
    document = json.loads(out)
    model = load(TINY)
    assert document["sha256"] == model.sha256
    assert document["engine"] == model.engine.name
    assert [text["name"] for text in document["texts"]] == ["one.txt", "other.txt"]
    for result, text in zip(document["texts"], (ONE, OTHER), strict=True):
        score = predict(model, text).score
        for name in ("characters", "nats", "bits", "perplexity", "accuracy"):
            assert result[name] == getattr(score, name)
        bits = compressed_bits(text[1:])
        assert result["compressors"] == {name: size / (len(text) - 1) for name, size in bits.items()}
    (one, other), total = document["texts"], document["all"]
    assert total["characters"] == one["characters"] + other["characters"]
    weighted = one["nats"] * one["characters"] + other["nats"] * other["characters"]
    assert total["nats"] == pytest.approx(weighted / total["characters"])


def test_a_total_has_the_sums_of_all_texts() -> None:
    compressed = dict.fromkeys(COMPRESSORS, 8)
    results = [
        EvalResult("a", None, Score(3, 2, 4.0, 1), 1, 0.5, compressed, 0.1, unknown=2, records=1),
        EvalResult("b", None, Score(5, 4, 6.0, 3), 2, 1.5, compressed, 0.1, unknown=5, records=4),
    ]
    twice = dict.fromkeys(COMPRESSORS, 16)
    expected = EvalResult("all texts", None, Score(8, 6, 10.0, 4), 3, 2.0, twice, 0.1, unknown=7, records=5)
    assert combined(results) == expected


@pytest.mark.usefixtures("texts")
def test_last_scores_the_end_of_a_text(capsys: Captured) -> None:
    _, out, _ = run(capsys, "one.txt", "--last", "0.5", "--json")
    document = json.loads(out)
    assert document["texts"][0]["characters"] == len(ONE) // 2
    assert (document["last"], document["unknown"]) == (0.5, "error")
    _, out, _ = run(capsys, "one.txt", "--last", "0.5")
    assert out.startswith(f"one.txt: {len(ONE) // 2} characters scored, the last 50% of the text, ")
    code, _, err = run(capsys, "one.txt", "--last", "0.001")
    assert code == 1
    assert f"the last 1 of {len(ONE)} characters have 1 character of the vocabulary" in err


def test_folders_and_named_corpora_are_read_as_in_training(capsys: Captured, texts: Path) -> None:
    (texts / "letters" / "sub").mkdir(parents=True)
    (texts / "letters" / "a.txt").write_text(ONE.rstrip(), encoding="utf-8")
    (texts / "letters" / "sub" / "b.txt").write_text(OTHER, encoding="utf-8")
    options = ("--unknown", "skip", "--last", "0.3", "--json")
    code, out, err = run(capsys, "letters", "python-docs", *options)
    assert (code, err) == (0, "")
    results, model = json.loads(out)["texts"], load(TINY)
    assert [text["name"] for text in results] == ["letters", "python-docs"]
    for result, text in zip(results, (ONE + OTHER, read_corpus("python-docs").text), strict=True):
        assert result["nats"] == predict(model, text, last=0.3, unknown="skip").score.nats


def test_unknown_characters_are_an_error_or_skipped(capsys: Captured, texts: Path) -> None:
    (texts / "one.txt").write_text("abxyc", encoding="utf-8")
    code, out, err = run(capsys, "one.txt")
    assert (code, out) == (1, "")
    assert err.startswith("textgen-eval: error: one.txt: not in the model's vocabulary: 'x' (U+0078), 'y'")
    assert err.count("\n") == 1
    code, out, _ = run(capsys, "one.txt", "--unknown", "skip")
    assert code == 0
    assert out.startswith("one.txt: 2 characters scored, 2 unknown characters skipped, ")
    (texts / "one.txt").write_text("abxc", encoding="utf-8")
    _, out, _ = run(capsys, "one.txt", "--unknown", "skip")
    assert out.startswith("one.txt: 2 characters scored, 1 unknown character skipped, ")


def test_one_character_is_no_plural_and_a_small_share_has_no_exponent(capsys: Captured, texts: Path) -> None:
    (texts / "one.txt").write_text("ab", encoding="utf-8")
    assert run(capsys, "one.txt")[1].startswith("one.txt: 1 character scored, ")
    (texts / "long.txt").write_text("ab" * 100_000, encoding="utf-8")
    _, out, _ = run(capsys, "long.txt", "--last", "0.00001")
    assert out.startswith("long.txt: 2 characters scored, the last 0.001% of the text, ")


def test_lowercase_converts_the_texts(capsys: Captured, texts: Path) -> None:
    (texts / "lower.onnx").write_bytes(tiny_with(NORMALIZATION_KEY, CASE_UNCHANGED))
    (texts / "capitals.txt").write_text(ONE.upper(), encoding="utf-8")
    code, _, err = run_here(main, capsys, "lower.onnx", "capitals.txt")
    assert code == 1
    assert "not in the model's vocabulary: '" in err
    code, out, _ = run_here(main, capsys, "lower.onnx", "capitals.txt", "--lowercase", "--json")
    document = json.loads(out)
    assert (code, document["lowercase"]) == (0, True)
    assert document["all"]["nats"] == predict(load("lower.onnx"), ONE).score.nats


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            b"a",
            "one.txt: the text is too short to score",
        ),
        (b"\xff\xfe", "one.txt is not UTF-8"),
    ],
)
def test_invalid_texts_are_errors(capsys: Captured, texts: Path, content: bytes, message: str) -> None:
    (texts / "one.txt").write_bytes(content)
    code, out, err = run(capsys, "one.txt")
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert message in err


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
def test_wrong_usage_exits_with_2(capsys: Captured, wrong: list[str]) -> None:
    code, out, err = run(capsys, *wrong)
    assert (code, out, err.count("\n")) == (2, "", 1)


@pytest.mark.usefixtures("texts")
def test_one_failed_text_does_not_stop_the_others(capsys: Captured) -> None:
    code, out, err = run(capsys, "one.txt", "none.txt", "other.txt")
    assert code == 1
    names = [line.split(":")[0] for line in out.splitlines() if not line.startswith(" ")]
    assert names == ["one.txt", "other.txt", "all texts"]
    assert err.startswith(
        "textgen-eval: error: cannot read none.txt: no such file or folder; the named corpora are "
    )


def test_a_mistyped_name_of_a_corpus_is_corrected(capsys: Captured) -> None:
    code, out, err = run(capsys, "nietsche")
    assert (code, out) == (1, "")
    assert (
        err == "textgen-eval: error: cannot read nietsche: no such file or folder; did you mean nietzsche?\n"
    )


@pytest.mark.usefixtures("texts")
def test_infinite_perplexity_is_null_in_json(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    """JSON has no infinity."""
    monkeypatch.setattr(Score, "perplexity", property(lambda _: math.inf))
    code, out, _ = run(capsys, "one.txt", "--json")
    assert code == 0
    assert json.loads(out)["all"]["perplexity"] is None


@pytest.mark.usefixtures("texts")
def test_the_engine_can_be_chosen(capsys: Captured) -> None:
    document = json.loads(run(capsys, "one.txt", "--json", "--engine", "onnxruntime")[1])
    assert document["engine"] == load(TINY, engine="onnxruntime").engine.name
    assert document["all"]["nats"] == pytest.approx(predict(load(TINY), ONE).score.nats, abs=1e-5)


@pytest.mark.usefixtures("texts")
def test_a_lack_of_memory_is_a_one_line_error(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> bytes:
        raise MemoryError

    monkeypatch.setitem(COMPRESSORS, "xz", fail)
    message = "textgen-eval: error: one.txt: not enough memory to score this text\n"
    assert run(capsys, "one.txt") == (1, "", message)
    monkeypatch.setattr(eval_module, "load", fail)
    assert run(capsys, "one.txt") == (1, "", "textgen-eval: error: not enough memory\n")


def test_the_texts_that_may_be_copies_are_drawn_once(
    capsys: Captured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Model] = []

    def draw(model: Model) -> dict[float, list[str]]:
        drawn.append(model)
        return {0.5: ["abcabc"]}

    monkeypatch.setattr(eval_module, "draw_texts", draw)
    for name in "ab":
        (tmp_path / name).write_text("abc")
    assert main([str(TINY), str(tmp_path / "a"), str(tmp_path / "b"), "--copied"]) == 0
    assert capsys.readouterr().out.count("0.0% at 0.5") == 2
    assert len(drawn) == 1


def test_the_share_of_generated_text_that_is_copied_is_printed(capsys: Captured, tmp_path: Path) -> None:
    likely = load(TINY).generate(length=2000, temperature=0)
    (tmp_path / "corpus.txt").write_text(likely, encoding="utf-8")
    assert main([str(TINY), str(tmp_path / "corpus.txt"), "--copied", "--json"]) == 0
    shares = json.loads(capsys.readouterr().out)["texts"][0]["copied"]
    assert [*shares] == ["0.2", "0.5", "1", "1.2"]
    assert shares["0.2"] > shares["1.2"] == 0
    assert main([str(TINY), str(tmp_path / "corpus.txt"), "--copied"]) == 0
    assert f"{shares['0.2']:.1%} at 0.2" in capsys.readouterr().out
