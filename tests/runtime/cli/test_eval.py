"""``textgen-eval``: scores as text, as JSON and as a page, for models of each level, and errors."""

import io
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
from textgen_runtime import Model, load, predict
from textgen_runtime.baselines import COMPRESSORS, compressed_bits
from textgen_runtime.cli import eval as eval_module
from textgen_runtime.cli.eval import EvalResult, combined, main
from textgen_runtime.corpus import read_corpus
from textgen_runtime.errors import OutputError
from textgen_runtime.model_file import NORMALIZATION_KEY
from textgen_runtime.score import Score
from textgen_runtime.text import is_held_out

from tests.helpers.commands import Captured, run_here
from tests.helpers.eval_command import ONE, OTHER, run
from tests.helpers.paths import TINY
from tests.helpers.record_models import LEVELS, record_content, record_model
from tests.helpers.run_command import CASE_UNCHANGED, tiny_with

NAMES = ["abba", "cab", "d", "dé a", "baba"]


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
    assert "one.txt" in err


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
    code, out, _ = run(capsys, "one.txt", "--unknown", "skip")
    assert (code, "2 characters scored, 2 unknown characters skipped, " in out) == (0, True)


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
    names = [line.split(":")[0] for line in out.splitlines() if not line.startswith(" ")]
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


@pytest.mark.usefixtures("texts")
def test_a_lack_of_memory_is_a_one_line_error(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> bytes:
        raise MemoryError

    monkeypatch.setitem(COMPRESSORS, "xz", fail)
    message = "textgen-eval: error: one.txt: not enough memory to score this text\n"
    assert run(capsys, "one.txt") == (1, "", message)
    monkeypatch.setattr(eval_module, "load", fail)
    assert run(capsys, "one.txt") == (1, "", "textgen-eval: error: not enough memory\n")


def test_the_share_of_generated_text_that_is_copied_is_printed(capsys: Captured, tmp_path: Path) -> None:
    likely = load(TINY).generate(length=2000, temperature=0)
    (tmp_path / "corpus.txt").write_text(likely, encoding="utf-8")
    assert main([str(TINY), str(tmp_path / "corpus.txt"), "--copied", "--json"]) == 0
    shares = json.loads(capsys.readouterr().out)["texts"][0]["copied"]
    assert [*shares] == ["0.2", "0.5", "1", "1.2"]
    assert shares["0.2"] > shares["1.2"] == 0
    assert main([str(TINY), str(tmp_path / "corpus.txt"), "--copied"]) == 0
    assert f"{shares['0.2']:.1%} at 0.2" in capsys.readouterr().out


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
    code, out, _ = evaluate(capsys, folder, level)
    assert f"{result['characters']} characters of 5 records scored" in out
    assert ("nats per token" in out) == (result["tokens"] != result["characters"])


def test_the_last_share_selects_held_out_records(capsys: Captured, folder: Path) -> None:
    held_out = [name for name in NAMES if is_held_out(name, 0.5)]
    _, out, _ = evaluate(capsys, folder, "character", "--last", "0.5")
    assert f"of {len(held_out)} records scored, the held-out 50% of the records, " in out


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
    assert capsys.readouterr().out.startswith("b\\udcffk.txt: ")
    assert "b?k.txt" in (texts / "page.html").read_text(encoding="utf-8")


@pytest.mark.usefixtures("texts")
def test_the_results_are_printed_if_writing_the_page_fails(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, _: bytes) -> None:
        raise OutputError(f"cannot write {path}: No space left on device")

    monkeypatch.setattr(eval_module, "write_output", full)
    code, out, err = run(capsys, "one.txt", "--surprise", "page.html")
    assert code == 1
    assert "nats per character" in out
    assert "cannot write page.html" in err


def test_the_page_shows_each_text(capsys: Captured, texts: Path, tiny: Model) -> None:
    code, out, err = run(capsys, "one.txt", "other.txt", "--surprise", "page.html")
    assert (code, err) == (0, "")
    assert out
    page = (texts / "page.html").read_text(encoding="utf-8")
    for text, name in ((ONE, "one.txt"), (OTHER, "other.txt")):
        assert f"<h2>{name}</h2>" in page
        assert f"{predict(tiny, text).score.nats:.4f} nats" in page
    # An older page is replaced.
    assert run(capsys, "one.txt", "--surprise", "page.html")[0] == 0
    assert "other.txt" not in (texts / "page.html").read_text(encoding="utf-8")


def test_the_page_and_the_results_need_different_files(texts: Path) -> None:
    program = "import sys; from textgen_runtime.cli.eval import main; sys.exit(main())"
    command = [sys.executable, "-c", program, str(TINY), "one.txt", "--surprise", "out.html"]
    with (texts / "out.html").open("w") as out:
        done = subprocess.run(command, cwd=texts, stdout=out, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 1
    assert b"--surprise out.html: the file is also standard output" in done.stderr
    assert (texts / "out.html").read_bytes() == b""


def test_a_closed_pipe_does_not_prevent_the_page(texts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class ClosedPipe(io.TextIOWrapper):
        def write(self, _: str) -> int:
            raise BrokenPipeError

    monkeypatch.setattr("sys.stdout", ClosedPipe(io.BytesIO()))
    assert main([str(TINY), "one.txt", "--surprise", "page.html"]) == 0
    assert (texts / "page.html").exists()
