"""A training run, new or resumed, from its specification to its result. The module imports torch."""

import contextlib
import random
import sys
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path

import torch
from textgen_runtime.cli.command import EXIT_INTERRUPTED
from textgen_runtime.errors import Name, OutputError, TextgenError
from textgen_runtime.terminal import print_diagnostic, write_stderr

from textgen_train.data.dataset_from_corpus import read_texts
from textgen_train.errors import (
    ExportError,
    LossError,
    LostProcessError,
    RecipeError,
    TrainingError,
    explaining_memory_errors,
    extended,
)
from textgen_train.export.onnx_graph import MAX_PARAMETERS
from textgen_train.loop.checkpoint_file import CheckpointWriter
from textgen_train.loop.evaluator import Evaluator
from textgen_train.loop.output_folder import EarlierFiles, PredictionsFile
from textgen_train.loop.ranks import SINGLE, Ranks
from textgen_train.loop.run import TrainingRun
from textgen_train.loop.samples import Samples
from textgen_train.loop.specification import RunSpecification
from textgen_train.loop.trainer import Trainer
from textgen_train.models.device import choose_device
from textgen_train.options import PROG
from textgen_train.recipe import Budget
from textgen_train.report.facts import RunFacts
from textgen_train.report.files import QuantizedFile, ReportFiles, TensorBoard
from textgen_train.report.losses import References
from textgen_train.report.page import ReportPage
from textgen_train.report.progress import Display, DivergenceWarning, Progress, make_progress

from ._arguments import option
from ._messages import describe_early_end, describe_network, describe_result
from ._process import deferred_interrupts, keep_freed_memory, limit_kernel_caches
from ._stored_run import describe_run

# The maximum duration of the measurement of the speed: in seconds, and as a share of the budget.
MEASURED_SECONDS, MEASURED_SHARE = 1.0, 0.02

# More epochs than are made in this time.
MEASURED_EPOCHS = 10**9

# The number of excerpts that the model file stores as default prompts.
DEFAULT_PROMPTS = 8


def estimate_epochs(specification: RunSpecification, minutes: float, ranks: Ranks) -> float | None:
    """Estimate how many epochs fit into a budget of minutes. All processes get the same result.

    The first process trains a network that is not used further, for about a second, but for at most a
    fiftieth of the budget.

    Returns:
        The number of epochs; None if the loss is not finite.
    """
    epochs = None
    if ranks.is_first:
        trainer = make_trainer(specification, Budget(epochs=MEASURED_EPOCHS), SINGLE)
        # The run itself reports a loss that is not finite.
        with explaining_memory_errors(), contextlib.suppress(LossError):
            speed = trainer.measure_speed(min(MEASURED_SECONDS, 60 * minutes * MEASURED_SHARE)) * ranks.size
            epochs = 60 * minutes * speed / len(specification.dataset.training)
    shared: float | None = ranks.share_first(epochs)
    return shared


def make_trainer(specification: RunSpecification, budget: Budget, ranks: Ranks) -> Trainer:
    """Return the trainer of a run.

    Raises:
        RecipeError: If its network does not fit into an ONNX file.
    """
    keep_freed_memory()
    limit_kernel_caches()
    dataset, recipe, options = specification.dataset, specification.recipe, specification.options
    threads = specification.threads
    device = choose_device(options.device, ranks.local_rank)
    with explaining_memory_errors():
        trainer = Trainer(
            dataset.training,
            len(dataset.tokenizer),
            recipe,
            budget,
            options.seed,
            special=dataset.tokenizer.special,
            threads=threads,
            device=device,
            ranks=ranks,
        )
    if trainer.model.parameter_count > MAX_PARAMETERS:
        raise RecipeError(
            f"the network has {trainer.model.parameter_count:,} parameters, and an ONNX file holds at most "
            f"{MAX_PARAMETERS:,}: lower ",
            Name("units"),
            " or ",
            Name("layers"),
        )
    return trainer


def make_ready_trainer(
    specification: RunSpecification,
    ranks: Ranks,
    prepare: Callable[[Trainer], None] = lambda _: None,
) -> Trainer:
    """Return the trainer of a run. All processes of the run are ready when the function returns.

    ``prepare`` loads the weights or the state from which the trainer starts, equally in all processes.
    """
    options, held_out = specification.options, specification.held_out
    trainer = make_trainer(specification, options.budget, ranks)
    prepare(trainer)
    share = specification.dataset.held_out_share
    ranks.begin(
        {
            "corpus": specification.corpus.sha256,
            "held-out part": str(share) if held_out is None else held_out.sha256,
            "model of --from": str(specification.parent),
            "vocabulary": "".join(specification.dataset.tokenizer.symbols),
            "recipe": f"{specification.recipe}, seed {options.seed}",
            "budget": str(trainer.budget),
            "version of torch": str(torch.__version__),
        }
    )
    return trainer


def make_run(
    trainer: Trainer,
    specification: RunSpecification,
    folder: Path,
    predictions: Path | None = None,
    *,
    is_new: bool,
) -> TrainingRun:
    """Return a run that also writes checkpoints, and print its network and hardware.

    A new run removes the files of an earlier one when it starts, but not its own predictions.
    """
    write_stderr(describe_network(trainer))
    progress = make_progress()
    run = make_training_run(trainer, specification, folder, progress)
    description = describe_run(specification, trainer.model.device.type, trainer.replicas.ranks.size)
    if is_new:
        run.add_watcher(EarlierFiles(folder, predictions))
    run.add_watcher(CheckpointWriter(run, asdict(description), folder, progress.warn))
    if specification.teachers:
        run.add_watcher(PredictionsFile(run, folder))
    if specification.options.tensorboard:
        run.add_watcher(TensorBoard(folder, progress.warn))
    return run


def make_training_run(
    trainer: Trainer, specification: RunSpecification, folder: Path, progress: Progress
) -> TrainingRun:
    """Return a run that writes the best model, metrics, samples, loss curves and a report to a folder.

    The folder must exist.
    """
    options, dataset, warn = specification.options, specification.dataset, progress.warn
    threads = specification.threads
    rng = random.Random(options.seed)
    # A record needs no prompt. The bytes of a file that is not a text have no excerpts.
    count = DEFAULT_PROMPTS if dataset.records is None else 0
    prompts = tuple(filter(None, [dataset.draw_excerpt(rng) for _ in range(count)]))
    sampler = None if options.no_samples else Samples(dataset, options.seed)
    evaluator = Evaluator(trainer, specification, prompts, folder, warn, samples=sampler, threads=threads)
    # The unknown symbol does not replace rare symbols of the text that compressors get.
    original = partial(read_texts, specification.corpus, specification.held_out, dataset)
    references = References(dataset, original if dataset.rare_count else None)
    quantized = (
        QuantizedFile(specification, folder, progress.write, warn, threads) if options.quantize else None
    )
    title = f"{specification.corpus.name}, {trainer.model.parameter_count:,} parameters"
    run = TrainingRun(trainer, evaluator, evaluates_start=specification.parent is not None)
    for watcher in (
        # Before the report, which shows its loss.
        *([quantized] if quantized else []),
        DivergenceWarning(len(dataset.tokenizer), warn, dataset.characters_per_token),
        ReportFiles(folder, title, warn),
        ReportPage(run, RunFacts(specification, folder), references, warn, quantized),
        Display(progress),
    ):
        run.add_watcher(watcher)
    return run


def follow(trainer: Trainer) -> int:
    """Make the updates that the first process decides, and return the exit code."""
    try:
        with deferred_interrupts() as interrupts, explaining_memory_errors():
            trainer.follow(interrupts.check)
    except LostProcessError as error:
        # If the first process is lost, no other one knows what is saved.
        raise extended(error, ": resume the run with ", Name("resume")) from error
    return 0


def run_to_end(run: TrainingRun, specification: RunSpecification, folder: Path) -> int:
    """Run the training until its end or an interrupt, print the result, and return the exit code."""
    options, ranks, code = specification.options, run.trainer.replicas.ranks, 0
    try:
        with deferred_interrupts() as interrupts, explaining_memory_errors():

            def check_interrupt() -> None:
                interrupts.check()
                ranks.check_interrupt()

            run.run(check_interrupt)
    except KeyboardInterrupt as interrupt:
        if isinstance(interrupt.__cause__, TextgenError):
            # The interrupt was deferred, and an error was raised before it took effect.
            print_diagnostic(PROG, interrupt.__cause__.spelled(option))
        if not run.is_complete:
            print_diagnostic(PROG, describe_early_end(folder, run, options), "interrupted")
            return EXIT_INTERRUPTED
        code = EXIT_INTERRUPTED
    except (TrainingError, OutputError, ExportError) as error:
        raise extended(error, f"; {describe_early_end(folder, run, options, error)}") from error
    sys.stdout.write(describe_result(folder, run, options))
    return code
