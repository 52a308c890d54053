"""``textgen-eval``: scores as text, as JSON and as a page, for models of each level, and errors."""

import io
import json
import math
import os
from pathlib import Path

import pytest
from textgen_runtime import Model, load, predict
from textgen_runtime.baselines import COMPRESSORS, compressed_bits
from textgen_runtime.cli.eval import EvalResult, combined, main
from textgen_runtime.corpus import read_corpus
from textgen_runtime.model_file import NORMALIZATION_KEY
from textgen_runtime.score import Score
from textgen_runtime.text import is_held_out

from tests.helpers.commands import Captured, run_here
from tests.helpers.paths import TINY
from tests.helpers.record_models import LEVELS, record_content, record_model
from tests.helpers.run_command import CASE_UNCHANGED, tiny_with

# Some letters have two bytes, so that bits per byte and bits per character differ.
ONE, OTHER = "é bad cab dad had a bed\n" * 9, "a bead each he had\n" * 5
NAMES = ["abba", "cab", "d", "dé a", "baba"]


@pytest.fixture
def texts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory that contains two texts."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "one.txt").write_text(ONE, encoding="utf-8")
    (tmp_path / "other.txt").write_text(OTHER, encoding="utf-8")
    return tmp_path


def run(capsys: Captured, *arguments: str) -> tuple[int, str, str]:
    """Run the command; return its exit code, standard output and standard error."""
    return run_here(main, capsys, str(TINY), *arguments)


@pytest.mark.usefixtures("texts")
def test_the_score_is_printed_as_text(capsys: Captured) -> None:
    code, out, err = run(capsys, "one.txt", "other.txt")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert [line for line in lines if not line.startswith(" ")] == ["one.txt", "other.txt", "all texts"]
    score = predict(load(TINY), ONE).score
    found = dict(line.split() for line in lines[: lines.index("other.txt")] if line.count("  ") > 1)
    assert found["characters"] == str(len(ONE) - 1)
    assert (found["nats"], found["accuracy"]) == (f"{score.nats:.6g}", f"{score.accuracy:.6g}")
    assert {"gzip", "bz2", "xz"} <= {*found}


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
        EvalResult(
            "a", Score(3, 2, 4.0, 1), {"records": 1, "skipped": 2, "unknown": 0}, compressed, {0.5: 0.1}
        ),
        EvalResult("b", Score(5, 4, 6.0, 3), {"records": 4, "skipped": 5, "unknown": 6}, compressed, {}),
    ]
    twice = dict.fromkeys(COMPRESSORS, 16)
    assert combined(results) == EvalResult(
        "all texts", Score(8, 6, 10.0, 4), {"records": 5, "skipped": 7, "unknown": 6}, twice, {}
    )


@pytest.mark.usefixtures("texts")
def test_last_scores_the_end_of_a_text(capsys: Captured) -> None:
    _, out, _ = run(capsys, "one.txt", "--last", "0.5", "--json")
    document = json.loads(out)
    assert document["texts"][0]["characters"] == len(ONE) // 2
    assert (document["last"], document["unknown"]) == (0.5, "error")


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
    assert (code, out, err.count("\n"), "one.txt: " in err, "'x'" in err) == (1, "", 1, True, True)
    code, out, _ = run(capsys, "one.txt", "--unknown", "skip", "--json")
    result = json.loads(out)["all"]
    assert (code, result["characters"], result["skipped"]) == (0, 2, 2)


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


@pytest.mark.usefixtures("texts")
def test_one_failed_text_does_not_stop_the_others(capsys: Captured) -> None:
    code, out, err = run(capsys, "one.txt", "none.txt", "other.txt")
    assert code == 1
    names = [line for line in out.splitlines() if not line.startswith(" ")]
    assert names == ["one.txt", "other.txt", "all texts"]
    assert (err.count("\n"), "none.txt" in err) == (1, True)


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


def test_the_share_of_generated_text_that_is_copied_is_printed(capsys: Captured, tmp_path: Path) -> None:
    likely = load(TINY).generate(length=2000, temperature=0)
    (tmp_path / "corpus.txt").write_text(likely, encoding="utf-8")
    assert main([str(TINY), str(tmp_path / "corpus.txt"), "--copied", "--json"]) == 0
    shares = json.loads(capsys.readouterr().out)["texts"][0]["copied"]
    assert [*shares] == ["0.2", "0.5", "1", "1.2"]
    assert shares["0.2"] > shares["1.2"] == 0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "names.txt").write_text("\n".join(NAMES), encoding="utf-8")
    return tmp_path


def evaluate(capsys: Captured, folder: Path, level: str, *arguments: str) -> tuple[int, str, str]:
    path = folder / "model.onnx"
    path.write_bytes(record_content(level))
    return run_here(main, capsys, str(path), str(folder / "names.txt"), *arguments)


@pytest.mark.parametrize("level", LEVELS)
def test_records_are_scored_with_their_ends(level: str, capsys: Captured, folder: Path) -> None:
    code, out, err = evaluate(capsys, folder, level, "--json")
    result = json.loads(out)["all"]
    score = predict(record_model(level), "\n".join(NAMES)).score
    assert (code, err) == (0, "")
    assert result["records"] == len(NAMES)
    assert result["characters"] == sum(map(len, NAMES)) + len(NAMES) == score.characters
    assert (result["nats"], result["nats_per_token"]) == pytest.approx((score.nats, score.token_nats))


def test_the_last_share_selects_held_out_records(capsys: Captured, folder: Path) -> None:
    held_out = [name for name in NAMES if is_held_out(name, 0.5)]
    _, out, _ = evaluate(capsys, folder, "character", "--last", "0.5", "--json")
    assert json.loads(out)["all"]["records"] == len(held_out)


@pytest.mark.parametrize("level", LEVELS)
def test_the_page_shows_characters(level: str, capsys: Captured, folder: Path) -> None:
    page = folder / "page.html"
    code, _, err = evaluate(capsys, folder, level, "--surprise", str(page))
    text = page.read_text(encoding="utf-8")
    assert (code, err) == (0, "")
    assert "\u21b5" in text
    details = json.loads(text.partition('<script type="application/json">')[2].partition("</script>")[0])
    assert "".join(details["text"]) == "".join(f"{name}\n" for name in NAMES)
    assert all(details["text"])
    assert len(details["text"]) == len(details["bits"]) == len(details["choices"])
    score = predict(record_model(level), "\n".join(NAMES)).score
    assert sum(details["bits"]) == pytest.approx(score.bits * score.characters, abs=0.2)


def test_a_file_name_that_is_not_unicode(capsys: Captured, texts: Path) -> None:
    name = os.fsdecode(b"b\xffk.txt")
    try:
        (texts / name).write_text(ONE, encoding="utf-8")
    except OSError:
        pytest.skip("this file system rejects the name")
    assert main([str(TINY), name, "--surprise", "page.html"]) == 0
    assert capsys.readouterr().out.startswith("b\\udcffk.txt\n")
    assert "b?k.txt" in (texts / "page.html").read_text(encoding="utf-8")


def test_the_page_shows_each_text(capsys: Captured, texts: Path, tiny: Model) -> None:
    code, out, err = run(capsys, "one.txt", "other.txt", "--surprise", "page.html")
    assert (code, err) == (0, "")
    assert out
    page = (texts / "page.html").read_text(encoding="utf-8")
    for text, name in ((ONE, "one.txt"), (OTHER, "other.txt")):
        assert f"<h2>{name}</h2>" in page
        assert f"{predict(tiny, text).score.bits:.4f} bits" in page
    # An older page is replaced.
    assert run(capsys, "one.txt", "--surprise", "page.html")[0] == 0
    assert "other.txt" not in (texts / "page.html").read_text(encoding="utf-8")


def test_a_closed_pipe_does_not_prevent_the_page(texts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class ClosedPipe(io.TextIOWrapper):
        def write(self, _: str) -> int:
            raise BrokenPipeError

    monkeypatch.setattr("sys.stdout", ClosedPipe(io.BytesIO()))
    assert main([str(TINY), "one.txt", "--surprise", "page.html"]) == 0
    assert (texts / "page.html").exists()
