"""The execution of a run, new or resumed, from its dataset to its result."""

import argparse
import contextlib
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textgen_runtime.cli.command import EXIT_INTERRUPTED
from textgen_runtime.corpora.corpus import Corpus
from textgen_runtime.errors import Name, OutputError, TextgenError
from textgen_runtime.system.console import print_diagnostic, write_stderr
from textgen_runtime.system.text_files import STANDARD_INPUT

from textgen_train.data.dataset import Dataset
from textgen_train.errors import LossError, RecipeError, TrainingError, explaining_memory_errors, extended
from textgen_train.loop.ranks import SINGLE, Ranks
from textgen_train.recipe import AnyRecipe, Budget

from ._arguments import PROG, option, parser
from ._interrupts import deferred_interrupts
from ._messages import describe_early_end, describe_network, describe_result
from ._recipe_arguments import budget_from, usual_recipe
from ._stored_run import describe_run
from ._texts import Texts

if TYPE_CHECKING:
    from textgen_train.loop.provenance import Provenance
    from textgen_train.loop.run import TrainingRun
    from textgen_train.loop.trainer import Trainer
    from textgen_train.models.network import CharNetwork

# The maximum duration of the measurement of the speed: in seconds, and as a share of the budget.
MEASURED_SECONDS, MEASURED_SHARE = 1.0, 0.02

# More epochs than are made in this time.
MEASURED_EPOCHS = 10**9


def check_device(name: str, ranks: Ranks) -> None:
    """Check that this process can have a device, before it reads a text.

    Importing torch takes seconds. Therefore a choice that cannot fail is not checked.

    Raises:
        TrainingError: If there is no such device, or not one for each process.
    """
    if name == "cpu" or (name == "auto" and ranks.size == 1):
        return
    from textgen_train.models.device import choose_device

    choose_device(name, ranks.local_rank)


def make_provenance(  # noqa: PLR0913 (all are needed; two have defaults)
    texts: Texts,
    dataset: Dataset,
    recipe: AnyRecipe,
    seed: int,
    *,
    name: str | None = None,
    parent: Mapping[str, Any] | None = None,
) -> "Provenance":
    """Return the data and the hyperparameters of a run.

    Args:
        texts: The texts of the run.
        dataset: Their dataset.
        recipe: The hyperparameters.
        seed: The random seed.
        name: The name of a resumed run; None for a new one.
        parent: What is known of the model from which the run starts; None for random weights.
    """
    # Importing torch takes seconds. It comes after all checks of the input.
    from textgen_train.loop.provenance import Provenance

    held_out = texts.held_out if isinstance(texts.held_out, Corpus) else dataset.held_out_share or 0.0
    provenance = Provenance(texts.corpus, held_out, dataset, recipe, seed, parent=parent)
    return provenance if name is None else replace(provenance, run=name)


def estimate_epochs(
    arguments: argparse.Namespace, provenance: "Provenance", minutes: float, ranks: Ranks
) -> float | None:
    """Estimate how many epochs fit into a budget of minutes. All processes get the same result.

    The first process trains a network that is not used further, for about a second, but for at most a
    fiftieth of the budget.

    Args:
        arguments: The arguments of the command line.
        provenance: Data, recipe and seed.
        minutes: The budget.
        ranks: The processes of the run.

    Returns:
        The number of epochs; None if the loss is not finite.

    Raises:
        RecipeError: If the network is too large for an ONNX file.
        TrainingError: If memory ran out, or if there is no such device.
    """
    from textgen_train.loop.replicas import resolve_thread_count

    epochs = None
    if ranks.is_first:
        threads = resolve_thread_count(arguments.threads, ranks)
        trainer = make_trainer_of_valid_size(arguments, provenance, Budget(epochs=MEASURED_EPOCHS), threads)
        # The run itself reports a loss that is not finite.
        with explaining_memory_errors(), contextlib.suppress(LossError):
            speed = trainer.measure_speed(min(MEASURED_SECONDS, 60 * minutes * MEASURED_SHARE)) * ranks.size
            epochs = 60 * minutes * speed / len(provenance.dataset.training)
    shared: float | None = ranks.share_first(epochs)
    return shared


def make_trainer_of_valid_size(
    arguments: argparse.Namespace,
    provenance: "Provenance",
    budget: Budget,
    threads: int | None,
    ranks: Ranks = SINGLE,
) -> "Trainer":
    """Return a trainer whose network fits into an ONNX file.

    Raises:
        RecipeError: If it does not.
        TrainingError: If memory ran out, if there is no such device, or if there are too many processes.
    """
    from textgen_train.export.onnx_graph import MAX_PARAMETERS

    from ._training_run import make_trainer

    with explaining_memory_errors():
        trainer = make_trainer(provenance, budget, threads, arguments.device, ranks)
    model = trainer.model
    if model.parameter_count > MAX_PARAMETERS:
        raise RecipeError(
            f"the network has {model.parameter_count:,} parameters, and an ONNX file holds at most "
            f"{MAX_PARAMETERS:,}: lower ",
            Name("units"),
            " or ",
            Name("layers"),
        )
    return trainer


def make_ready_trainer(
    arguments: argparse.Namespace,
    provenance: "Provenance",
    ranks: Ranks,
    load_weights: Callable[["CharNetwork"], None] = lambda _: None,
) -> "Trainer":
    """Return the trainer of the command line. All processes of the run are ready when the function returns.

    Args:
        arguments: The arguments of the command line.
        provenance: Data, recipe and seed.
        ranks: The processes of the run.
        load_weights: Loads the weights from which the run starts into the network.

    Raises:
        RecipeError: If the network is too large for an ONNX file.
        TrainingError: If memory ran out, if there is no such device, if there are too many processes, or if
            another process has failed or has other data.
    """
    trainer = make_trainer_of_valid_size(
        arguments, provenance, budget_from(arguments), arguments.threads, ranks
    )
    load_weights(trainer.model)
    ranks.begin(shared_values(provenance, trainer))
    return trainer


def shared_values(provenance: "Provenance", trainer: "Trainer") -> dict[str, str]:
    """Return the values that must be the same in all processes of a run, by name."""
    import torch

    held_out = provenance.held_out
    return {
        "corpus": provenance.corpus.sha256,
        "held-out part": held_out.sha256 if isinstance(held_out, Corpus) else str(held_out),
        "model of --from": str(provenance.parent),
        "vocabulary": "".join(provenance.dataset.tokenizer.symbols),
        "recipe": f"{provenance.recipe}, seed {provenance.seed}",
        "budget": str(trainer.budget),
        "version of torch": str(torch.__version__),
    }


def make_run(
    arguments: argparse.Namespace,
    trainer: "Trainer",
    provenance: "Provenance",
    folder: Path,
    epochs: float | None,
) -> "TrainingRun":
    """Return the training run of the command line with its checkpoints; print its network and hardware.

    Args:
        arguments: The arguments of the command line.
        trainer: The trainer.
        provenance: Data, recipe and seed.
        folder: The output folder.
        epochs: The number of epochs for which the recipe was chosen; None if it was not known.
    """
    from textgen_train.loop.replicas import resolve_thread_count
    from textgen_train.report.checkpoints import CheckpointWriter
    from textgen_train.report.progress import make_progress
    from textgen_train.report.tensorboard import TensorBoard

    from ._training_run import make_training_run

    write_stderr(describe_network(trainer))
    dataset = provenance.dataset
    threads, progress = resolve_thread_count(arguments.threads, trainer.replicas.ranks), make_progress()
    run = make_training_run(
        trainer,
        provenance,
        folder,
        progress,
        samples=not arguments.no_samples,
        quantizes=arguments.quantize,
        threads=threads,
        command=arguments.words,
        source=arguments.corpus,
        usual=usual_recipe(arguments, dataset, epochs),
    )
    all_threads = threads * trainer.replicas.ranks.size
    description = asdict(describe_run(arguments, provenance, trainer.budget, all_threads, epochs))
    run.add_watcher(CheckpointWriter(run, description, folder, progress.warn))
    if arguments.tensorboard:
        run.add_watcher(TensorBoard(folder, progress.warn))
    return run


def follow(trainer: "Trainer") -> int:
    """Make the updates that the first process decides, and return the exit code."""
    with deferred_interrupts() as interrupts, explaining_memory_errors():
        trainer.follow(interrupts.check)
    return 0


def run_to_end(
    run: "TrainingRun",
    folder: Path,
    ranks: Ranks = SINGLE,
    arguments: argparse.Namespace | None = None,
) -> int:
    """Run the training until its end or an interrupt, print the result, and return the exit code."""
    arguments = arguments or parser().parse_args([])
    texts = {"-": arguments.corpus, "--held-out-file -": arguments.held_out_file}
    piped = "".join(option for option, source in texts.items() if source == STANDARD_INPUT)
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
        print_diagnostic(PROG, describe_early_end(folder, run, piped=piped), "interrupted")
        return EXIT_INTERRUPTED
    except (TrainingError, OutputError) as error:
        raise extended(error, f"; {describe_early_end(folder, run, error, piped=piped)}") from error
    sys.stdout.write(describe_result(folder, run, arguments.corpus))
    return 0
