"""Each program of ``benchmarks`` runs, with as little work as it can have."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from textgen_runtime.bench import rounds
from textgen_train.cli.train import main as train
from textgen_train.presets import PRESETS

from benchmarks import (
    budgets,
    interrupts,
    kills,
    quality,
    serving,
    soak,
    training,
)
from benchmarks.peers import __main__ as peers
from tests.helpers.commands import Captured
from tests.helpers.paths import TINY
from tests.helpers.programs import posix_only
from tests.helpers.train_command import TEXT

SMALL = ["--units", "8", "--embedding", "4", "--batch", "4", "--sequence-length", "8", "--threads", "1"]


@pytest.fixture(autouse=True)
def _few_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounds, "MIN_ROUNDS", 1)


def test_budgets(monkeypatch: pytest.MonkeyPatch) -> None:
    tiny = {"layers": 1, "units": 8, "embedding": 4}
    for name, value in {"SMALL": tiny, "LARGE": tiny, "STREAM_COUNTS": (2,), "STATES": 3}.items():
        monkeypatch.setattr(budgets, name, value)
    figures = {figure.name: figure for figure in budgets.figures(0.0, 1000)}
    assert figures["2 streams, 2 threads: onnxruntime / native"].measured > 0
    assert figures["400 characters / import numpy"].measured > 0
    assert figures["textgen.wasm, gzip, KB"].measured < 40
    kept = {
        budgets.Figure("", measured, 2.0, "", is_least).is_kept
        for measured, is_least in ((1, False), (3, True))
    }
    missed = {
        budgets.Figure("", measured, 2.0, "", is_least).is_kept
        for measured, is_least in ((3, False), (1, True))
    }
    assert (kept, missed) == ({True}, {False})


@posix_only
def test_peers_in_c(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    name = "plain C, `-O3 -march=native -ffast-math`"
    monkeypatch.setattr(peers, "BUILD", tmp_path)
    monkeypatch.setattr(peers, "ROUNDS", 1)
    results = peers.measure({name: peers.PEERS[name]})
    assert results[name][0]["seconds"] > 0
    twice = {"seconds": results[name][0]["seconds"] * 2, "version": "1"}
    assert peers.table(results | {"textgen-onnx, float32": [twice]}).splitlines()[2].endswith("| 0.50 |")


def test_quality(capsys: Captured, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    Path("book").write_text(TEXT * 10, encoding="utf-8")
    monkeypatch.setattr(quality, "CORPORA", {"book": True})
    monkeypatch.setattr(quality, "SPEED_SECONDS", 0.0)
    monkeypatch.setattr("subprocess.run", lambda command, **_: train(command[3:]))
    arguments = ["--folder", ".", "--corpora", "book", "--runs", "small:1e", "--", *SMALL]
    quality.main(arguments)
    trained = hashlib.sha256(Path("book-small-1e/model.onnx").read_bytes()).digest()
    # The model is trained once.
    quality.main(arguments)
    assert hashlib.sha256(Path("book-small-1e/model.onnx").read_bytes()).digest() == trained
    rows = capsys.readouterr().out.splitlines()
    assert sum(row.startswith("  small, 1 epochs  ") for row in rows) == 2
    assert sum(row.startswith("  7-gram  ") for row in rows) == 2


def test_training(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = replace(PRESETS["small"], units=8, embedding=4, batch=2, sequence_length=8, layers=1)
    monkeypatch.setitem(PRESETS, "small", recipe)
    monkeypatch.setattr(training, "SPINNERS", 0)
    threads = torch.get_num_threads()
    row = training.measure("small", training.FLOAT32, 0.05)
    torch.set_num_threads(threads)
    assert row["rate"] > 0
    assert row["fastest"] > 0
    # Forward, and twice as much backward: inputs, the recurrent weights and the output, for 16 characters.
    _, operations = training.products(recipe, torch.float32)
    assert operations == 3 * 2 * 16 * (4 * 32 + 8 * 32 + 8 * training.VOCABULARY)


@posix_only
@pytest.mark.tier("push")
def test_kills() -> None:
    assert kills.main(["--ends", "2", "--only", "default"]) == 0


@posix_only
def test_interrupts() -> None:
    assert interrupts.main(["--repeats", "2", "--only", "textgen-info"]) == 0


def test_soak(capsys: Captured) -> None:
    assert soak.main(["--bytes", "1000", "--languages", "python"]) == 0
    assert "the texts are equal" in capsys.readouterr().out


@posix_only
def test_serving(capsys: Captured) -> None:
    assert serving.main([str(TINY), "--streams", "20", "--length", "50", "--rounds", "1"]) == 0
    assert "\n0 wrong responses" in capsys.readouterr().out
