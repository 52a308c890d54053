"""A training run with its evaluations and all that watches it."""

import random
from pathlib import Path

from textgen_runtime.model_file.metadata import Metadata

from textgen_train.loop.evaluator import Evaluator
from textgen_train.loop.provenance import Provenance
from textgen_train.loop.run import TrainingRun
from textgen_train.loop.samples import Samples
from textgen_train.loop.trainer import Trainer
from textgen_train.report.display import Display
from textgen_train.report.divergence import DivergenceWarning
from textgen_train.report.files import ReportFiles
from textgen_train.report.progress import Progress

# Snippets of the corpus that the model file keeps.
OWN_PROMPTS = 8


def watched_run(  # noqa: PLR0913 (each is needed, and two have defaults)
    trainer: Trainer,
    provenance: Provenance,
    folder: Path,
    progress: Progress,
    *,
    samples: bool = True,
    threads: int = 1,
) -> TrainingRun:
    """A run that leaves the best model, figures, samples and curves in a folder.

    Args:
        trainer: What trains.
        provenance: What is known of the model's making.
        folder: Where the files go; it must exist.
        progress: What to show it on.
        samples: Whether to draw samples at each evaluation.
        threads: How many threads evaluations and samples may use.
    """
    dataset, warn = provenance.dataset, progress.warn
    rng = random.Random(provenance.seed)
    prompts = tuple(dataset.snippet(rng) for _ in range(OWN_PROMPTS))
    metadata = Metadata(dataset.tokenizer, dataset.normalization, prompts)
    drawn = Samples(dataset, rng) if samples else None
    evaluator = Evaluator(trainer, provenance, metadata, folder, warn, samples=drawn, threads=threads)
    title = f"{provenance.corpus.name}, {trainer.model.parameter_count:,} parameters"
    return TrainingRun(
        trainer,
        evaluator,
        [
            DivergenceWarning(len(dataset.tokenizer), warn),
            ReportFiles(folder, title, warn),
            Display(progress),
        ],
    )
