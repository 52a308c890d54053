"""The losses by the length of the text: the page, and how they are measured."""

import subprocess
from pathlib import Path

import pytest
import textgen_runtime as textgen
from textgen_runtime.corpora.corpus import Corpus
from textgen_train.cli.train import main as train
from textgen_train.loop.specification import stored_recipe
from textgen_train.presets import preset

from benchmarks.quality import text_lengths
from benchmarks.quality.text_lengths import HELD_OUT_CHARACTERS, PAGE, PRESET, RUNS, Run
from tests.helpers.train_command import TEXT


def test_the_page_is_written_from_the_results() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page == text_lengths.make_page(page, text_lengths.read_results())
    results = text_lengths.read_results()
    assert {run: results[run]["nats"] for run in RUNS} == {run: results[run]["nats"] for run in results}


def test_the_runs_have_the_values_of_the_preset() -> None:
    for run, result in text_lengths.read_results().items():
        recipe = preset(PRESET, 0, epochs=run.epochs, training_tokens=run.characters)
        assert stored_recipe(recipe).items() <= result["recipe"].items()


def test_the_page_states_what_a_tenfold_of_the_text_gains() -> None:
    page, results = PAGE.read_text(encoding="utf-8"), text_lengths.read_results()
    plays = {run: result for run, result in results.items() if run.text == "tinyshakespeare"}
    nats = {run.characters: result["nats"] for run, result in plays.items()}
    gains = [nats[short] - nats[10 * short] for short in (10_000, 100_000)]
    assert gains == pytest.approx([0.45, 0.45], abs=0.03)
    assert "by about 0.45 nats" in page
    distances = {run.characters: result["nats"] - result["training_nats"] for run, result in plays.items()}
    words = " ".join(page.split())
    assert f"With 10 kB, the difference is {distances[10_000]:.1f} nats." in words
    assert f"With 1 MB, it is {distances[1_000_000]:.1f}." in words
    assert (
        f"No model of plays copied more than {max(result['copied'] for result in plays.values()):.1%}"
        in words
    )
    code = {run: result["nats"] for run, result in results.items() if run.text == "python"}
    long = code[Run("python", 10_000_000, 2)]
    for epochs, gain in ((20, 0.10), (5, 0.15)):
        assert code[Run("python", 1_000_000, epochs)] - long == pytest.approx(gain, abs=0.005)
    assert "it lowers the loss by 0.10 to 0.15 nats" in words


def test_a_run_is_trained_on_the_beginning_and_tested_on_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = TEXT * 100
    monkeypatch.setattr(text_lengths, "read_corpus", lambda _: Corpus.from_text("text", text))
    monkeypatch.setattr(text_lengths, "HELD_OUT_CHARACTERS", 500)
    monkeypatch.setattr(text_lengths, "PROMPTS", {"song": "Do re mi"})
    monkeypatch.setattr(subprocess, "run", lambda command, **_: train(command[3:]))
    result = text_lengths.measure(Run("song", 2_000, 2), tmp_path)
    assert (tmp_path / "song-2000-2.txt").read_text(encoding="utf-8") == text[:2_000]
    assert (tmp_path / "song-held-out.txt").read_text(encoding="utf-8") == text[-500:]
    plays = [run.characters for run in RUNS if run.text == "tinyshakespeare"]
    assert HELD_OUT_CHARACTERS + max(plays) <= 1_115_394
    training = textgen.load(tmp_path / "song-2000-2-model").training
    assert result["nats"] == pytest.approx(training["held_out_nats"], abs=1e-4)
    assert result["recipe"] == training["recipe"]
    assert "\n" not in result["line"]


def test_the_text_of_a_library_has_its_modules_alone(tmp_path: Path) -> None:
    for name, content in (
        ("one.py", "1\n"),
        ("two/three.py", "2\n"),
        ("two/four.txt", "3\n"),
        ("two/five.py", "\xe9\n"),
        ("site-packages/six.py", "4\n"),
    ):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content, encoding="utf-8")
    assert sorted(text_lengths.read_library(tmp_path).split()) == ["1", "2"]
