"""Each program of ``benchmarks`` runs, with as little work as it can have."""

from pathlib import Path

import pytest
import torch
from textgen_runtime.bench import rounds
from textgen_train import choose_preset
from textgen_train.cli import main as train

from benchmarks import budgets, interrupts, kills, quality, serving, soak, training
from tests.helpers.commands import Captured
from tests.helpers.paths import TINY
from tests.helpers.programs import posix_only
from tests.helpers.train_command import TEXT

pytestmark = posix_only

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


def test_quality(capsys: Captured, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    Path("book").write_text(TEXT * 2, encoding="utf-8")
    monkeypatch.setattr(quality, "CORPORA", {"book": {"lowercase": True}})
    monkeypatch.setattr(quality, "SPEED_SECONDS", 0.0)
    monkeypatch.setattr(quality, "compressed_bits", lambda text: {"none": 8.0 * len(text)})
    monkeypatch.setattr("subprocess.run", lambda command, **_: train(command[3:]))
    quality.main(["--folder", ".", "--corpora", "book", "--runs", "small:1e@1e", "--", *SMALL])
    rows = capsys.readouterr().out.splitlines()
    assert sum(row.startswith(("  small:1e@1e  ", "  7-gram  ")) for row in rows) == 2


def test_training(monkeypatch: pytest.MonkeyPatch) -> None:
    values = choose_preset("small", 57, 500_000, None)
    values |= {"units": 8, "embedding": 4, "batch": 2, "sequence_length": 8, "layers": 1}
    monkeypatch.setattr(training, "choose_preset", lambda *_: values)
    threads = torch.get_num_threads()
    operations, fastest, seconds = training.measure("small", 0.05)
    torch.set_num_threads(threads)
    assert fastest > 0
    assert min(seconds.values()) > 0
    assert {"torch 1", "torch 2", "float32 1", "float32 2"} <= {*seconds}
    # Forward, and twice as much backward: inputs, the recurrent weights and the output, for 16 characters.
    assert operations == 3 * 2 * 16 * (4 * 32 + 8 * 32 + 8 * training.VOCABULARY)


@pytest.mark.tier("push")
def test_kills() -> None:
    assert kills.main(["--ends", "2", "--only", "default"]) == 0


def test_interrupts() -> None:
    assert interrupts.main(["--repeats", "2", "--only", "textgen-info"]) == 0


def test_soak() -> None:
    assert soak.main(["--bytes", "1000", "--programs", "python", "training"]) == 0


def test_serving() -> None:
    assert serving.main([str(TINY), "--streams", "20", "--length", "50", "--rounds", "1"]) == 0
