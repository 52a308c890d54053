"""Set up a training run: the trainer, its evaluations and its reports."""

import random
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from textgen_runtime.model_file.metadata import Metadata

from textgen_train.data.preparation import read_texts
from textgen_train.loop.classic_trainer import ClassicTrainer
from textgen_train.loop.evaluator import Evaluator
from textgen_train.loop.provenance import Provenance
from textgen_train.loop.quantized_file import QuantizedFile
from textgen_train.loop.ranks import SINGLE, Ranks
from textgen_train.loop.run import TrainingRun
from textgen_train.loop.samples import Samples
from textgen_train.loop.stateful_trainer import StatefulTrainer
from textgen_train.loop.trainer import Trainer
from textgen_train.models.device import choose_device
from textgen_train.recipe import AnyRecipe, Budget, ClassicRecipe
from textgen_train.report.display import Display
from textgen_train.report.divergence import DivergenceWarning
from textgen_train.report.facts import gather_facts
from textgen_train.report.files import ReportFiles
from textgen_train.report.page_file import ReportPage
from textgen_train.report.progress import Progress
from textgen_train.report.references import References

# The number of excerpts that the model file stores as default prompts.
DEFAULT_PROMPTS = 8


def make_trainer(
    provenance: Provenance, budget: Budget, threads: int | None, device: str, ranks: Ranks = SINGLE
) -> Trainer:
    """Return the trainer for a recipe.

    Args:
        provenance: Data, recipe and seed.
        budget: Duration of the training.
        threads: Maximum number of threads of this process; None for one per available processor.
        device: Name of the device.
        ranks: The processes of the run.

    Raises:
        TrainingError: If there is no such device, or if there are too many processes for the lanes.
    """
    dataset, recipe, seed = provenance.dataset, provenance.recipe, provenance.seed
    text, size = dataset.training, len(dataset.tokenizer)
    chosen = choose_device(device, ranks.local_rank)
    if isinstance(recipe, ClassicRecipe):
        return ClassicTrainer(text, size, recipe, budget, seed, threads=threads, device=chosen, ranks=ranks)
    special = dataset.tokenizer.special
    return StatefulTrainer(
        text, size, recipe, budget, seed, special=special, threads=threads, device=chosen, ranks=ranks
    )


def make_training_run(  # noqa: PLR0913 (each is needed, and two have defaults)
    trainer: Trainer,
    provenance: Provenance,
    folder: Path,
    progress: Progress,
    *,
    samples: bool = True,
    quantizes: bool = False,
    threads: int = 1,
    command: Sequence[str] = (),
    source: str | None = None,
    usual: tuple[str, AnyRecipe] | None = None,
) -> TrainingRun:
    """Return a run that writes the best model, metrics, samples, loss curves and a report to a folder.

    Args:
        trainer: The trainer of the model.
        provenance: Corpus, recipe and seed, which are written to the model file.
        folder: Output folder; it must exist.
        progress: The progress display.
        samples: Whether to generate samples at each evaluation.
        quantizes: Whether to write an 8-bit version of the model at the end.
        threads: Number of threads for evaluations and samples.
        command: The words of the command that started the run, for the report.
        source: Where the corpus was read from, for the report.
        usual: Name and values of the preset without the changes of the user, for the report.
    """
    dataset, warn = provenance.dataset, progress.warn
    rng = random.Random(provenance.seed)
    # A record needs no prompt. The bytes of a file that is not a text have no excerpts.
    count = DEFAULT_PROMPTS if dataset.records is None else 0
    prompts = tuple(filter(None, [dataset.draw_excerpt(rng) for _ in range(count)]))
    metadata = Metadata(dataset.tokenizer, dataset.normalization, prompts, records=dataset.records)
    sampler = Samples(dataset, rng) if samples else None
    evaluator = Evaluator(trainer, provenance, metadata, folder, warn, samples=sampler, threads=threads)
    facts = gather_facts(
        dataset,
        corpus=provenance.corpus.name,
        source=source,
        folder=folder,
        command=command,
        recipe=provenance.recipe,
        usual=usual,
    )
    # The unknown symbol does not replace rare symbols of the text that compressors get.
    original = partial(read_texts, provenance.corpus, provenance.held_out, dataset)
    references = References(dataset, original if dataset.rare_count else None)
    quantized = QuantizedFile(provenance, folder, progress.write, warn, threads) if quantizes else None
    title = f"{provenance.corpus.name}, {trainer.model.parameter_count:,} parameters"
    return TrainingRun(
        trainer,
        evaluator,
        [
            # Before the report, which shows its loss.
            *([quantized] if quantized else []),
            DivergenceWarning(len(dataset.tokenizer), warn, dataset.characters_per_token),
            ReportFiles(folder, title, warn),
            ReportPage(facts, references, warn, lambda: evaluator.model_error, quantized),
            Display(progress),
        ],
        evaluates_start=provenance.parent is not None,
    )
