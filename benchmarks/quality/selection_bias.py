"""Measure how much lower a loss is because the best of several evaluations is chosen on the same text.

python -m benchmarks.quality.selection_bias --corpora FOLDER

`textgen-train` keeps the model with the lowest held-out loss, and reports this loss. The held-out text is
divided into 32 parts here. One half has the parts of even numbers, the other one those of odd numbers. The
best evaluation of a run is chosen on one half, and then its loss on the other half is compared with the
lowest one there. A whole held-out text has twice as many tokens, so its bias is smaller.
"""

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from textgen_runtime.bench.report import Section
from textgen_runtime.generation.model import Model
from textgen_train.cli._process import keep_freed_memory
from textgen_train.data.dataset import Dataset
from textgen_train.loop.eval_schedule import EvalSchedule
from textgen_train.loop.held_out_loss import _Nats
from textgen_train.loop.text_parts import TextParts
from textgen_train.presets import NO_REGULARIZATION

from .trial import FINAL, Experiment, export, make_trainer, read_dataset

RUNS = (
    Experiment("small, 22 epochs", 22),
    Experiment("small, 100 epochs of 50,000 characters", 100, characters=50_000),
    Experiment("the same without regularization", 100, changes=NO_REGULARIZATION, characters=50_000),
)
SEEDS = (0, 1)
COLUMNS = ("evaluations", "lowest loss", "last loss", "bias of a half")


def losses_by_part(experiment: Experiment, dataset: Dataset, seed: int) -> NDArray[np.float64]:
    """Train, and return the mean loss of each part of the held-out text, shape [evaluations, parts].

    The evaluations are those of ``textgen-train``.
    """
    trainer = make_trainer(experiment, dataset, seed)
    schedule = EvalSchedule(
        trainer.budget, trainer.updates_per_epoch, trainer.tokens_per_epoch, len(dataset.held_out)
    )
    rows = []
    for update in trainer.updates():
        if schedule.is_due(update):
            rows.append(_part_losses(export(trainer, dataset).model, dataset))
            schedule.record_evaluation(update, 0.0)
    return np.array(rows)


def _part_losses(model: Model, dataset: Dataset) -> NDArray[np.float64]:
    parts = TextParts.of(model.engine, dataset.before_held_out, dataset.held_out, 1)
    nats = _Nats(dataset.held_out)
    parts.run(nats.add)
    # A part is longer than a forward call, which gives one of the sums.
    sums = np.zeros(len(parts.starts))
    for position, value in nats._sums.items():
        sums[position // parts.counts[0]] += value
    return sums / parts.counts


def selection_bias(losses: NDArray[np.float64]) -> float:
    """Return by how much choosing an evaluation on a half lowers the loss of this half, in nats.

    Args:
        losses: Shape [evaluations, parts].
    """
    halves = losses[:, ::2].mean(1), losses[:, 1::2].mean(1)
    return float(
        np.mean([scored[chosen.argmin()] - scored.min() for scored, chosen in (halves, reversed(halves))])
    )


def main() -> None:
    """Print a row for each run."""
    command = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    command.add_argument("--corpora", type=Path, default=Path(), help="folder of the corpora")
    arguments = command.parse_args()
    keep_freed_memory()
    rows = []
    for experiment in RUNS:
        dataset = read_dataset("nietzsche", FINAL, arguments.corpora, experiment.characters)
        for seed in SEEDS:
            losses = losses_by_part(experiment, dataset, seed)
            means = losses.mean(1)
            cells = (
                f"{len(losses)}",
                f"{means.min():.4f}",
                f"{means[-1]:.4f}",
                f"{selection_bias(losses):.5f}",
            )
            rows.append((f"{experiment.label}, seed {seed}", cells))
    print(Section("selection bias, nietzsche in lower case", COLUMNS, rows))


if __name__ == "__main__":
    main()
