"""Short training runs, for tests of their output and of how they end."""

import json
from pathlib import Path
from typing import Any, NamedTuple, Self

import onnx
import pytest
from textgen_runtime.corpus import Corpus
from textgen_runtime.text import Normalization
from textgen_train.cli._training_run import make_training_run
from textgen_train.data.dataset_from_corpus import make_dataset
from textgen_train.loop import eval_schedule
from textgen_train.loop.run import TrainingRun
from textgen_train.loop.specification import RunSpecification
from textgen_train.loop.trainer import Trainer
from textgen_train.options import RunOptions
from textgen_train.recipe import AnyRecipe, Budget, ClassicRecipe, Recipe
from textgen_train.report.progress import Progress

RECIPE = Recipe(units=8, embedding=4, batch=4, sequence_length=16, warmup=5)


class RecordingDisplay(Progress):
    """A progress display that records everything."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[str] = []
        self.warnings: list[str] = []
        self.statuses: list[str] = []
        self.closed = False

    def show(self, fraction: float, status: str) -> None:
        assert 0 < fraction <= 1
        self.statuses.append(status)

    def write(self, text: str) -> None:
        self.written.append(text)

    def warn(self, text: str) -> None:
        self.warnings.append(text)

    def close(self) -> None:
        self.closed = True


class InterruptAt:
    """Replaces ``deferred_interrupts``: an interrupt comes before this number of checks have passed."""

    def __init__(self, check: int) -> None:
        self._left = check

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def check(self) -> None:
        self._left -= 1
        if not self._left:
            raise KeyboardInterrupt


class FinishedRun(NamedTuple):
    """A complete run, its folder, and what it has displayed."""

    folder: Path
    run: TrainingRun
    progress: RecordingDisplay


def evaluate_after_every_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Evaluate after every epoch, even if the text is short."""
    monkeypatch.setattr(eval_schedule, "MIN_UPDATES_BETWEEN", 1)
    monkeypatch.setattr(eval_schedule, "TRAINING_COST_RATIO", 1e9)
    monkeypatch.setattr(eval_schedule, "FIRST_EVALUATION_FRACTION", 1.0)


def timeless_results(folder: Path) -> dict[str, Any]:
    """Return the contents of an output folder except durations and speeds."""
    metrics = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    samples = (folder / "samples.txt").read_text().splitlines()
    return {
        "metrics": [
            {name: value for name, value in entry.items() if not name.startswith(("seconds", "characters_"))}
            for entry in metrics
        ],
        "samples": [line for line in samples if not line.startswith("epoch ")],
        "model": onnx.load(folder / "model.onnx").graph.SerializeToString(),
    }


def make_run(
    folder: Path, *, epochs: int = 3, samples: bool = True, recipe: AnyRecipe = RECIPE
) -> tuple[TrainingRun, RecordingDisplay]:
    corpus = Corpus.from_text("song", "do re mi fa sol la si do\n" * 60)
    dataset = make_dataset(corpus, Normalization(), 0.1)
    classic = "classic" if isinstance(recipe, ClassicRecipe) else None
    options = RunOptions("song", recipe=classic, seed=5, threads=1, no_samples=not samples)
    specification = RunSpecification(options, corpus, None, dataset, recipe)
    text, size, budget = dataset.training, len(dataset.tokenizer), Budget(epochs=epochs)
    trainer = Trainer(text, size, recipe, budget, 5, threads=1)
    progress = RecordingDisplay()
    return make_training_run(trainer, specification, folder, progress), progress
