"""``textgen-train``: train a model on a text and write ``model.onnx``."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from textgen_runtime.cli.command import EXIT_INTERRUPTED, run_command
from textgen_runtime.corpora.corpus import Corpus, read_corpus
from textgen_runtime.corpora.sources import COMPRESSED
from textgen_runtime.errors import OutputError, TextgenError, shorten
from textgen_runtime.system.console import escape_unencodable, print_diagnostic, write_stderr
from textgen_runtime.system.processors import available_processors
from textgen_runtime.text.normalization import Normalization, as_unicode_form

from textgen_train.data.dataset import Dataset, make_dataset
from textgen_train.errors import CorpusError, RecipeError, TrainingError, explaining_memory_errors
from textgen_train.loop.checkpoint_file import read_checkpoint
from textgen_train.loop.output_folder import (
    CHECKPOINT_FILE,
    check_inputs,
    check_overwrites,
    locked_folder,
    prepared_folder,
)
from textgen_train.recipe import AnyRecipe, ClassicRecipe

from ._arguments import PROG, budget_from, check_usage, parser, recipe_from
from ._interrupts import deferred_interrupts
from ._messages import (
    describe_complete_run,
    describe_dataset,
    describe_early_end,
    describe_preset_changes,
    describe_result,
    describe_resumption,
)
from ._preparation import Preparation
from ._stored_run import StoredRun, describe_run

if TYPE_CHECKING:
    from textgen_train.loop.provenance import Provenance
    from textgen_train.loop.run import TrainingRun

# The packages of the train extra, by their import names.
TRAIN_EXTRA = ("torch", "onnx", "safetensors", "pooch", "filelock", "tqdm", "matplotlib")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Returns:
        The exit code: 0 on success, 1 after an error, 130 after an interrupt. Wrong usage exits with 2.
    """
    command = parser()
    arguments = command.parse_args(argv)
    check_usage(command, arguments)
    if arguments.resume is not None:
        return run_command(PROG, lambda: resume(arguments))
    try:
        recipe = recipe_from(arguments)
    except RecipeError as error:
        command.error(str(error))
    return run_command(PROG, lambda: train(arguments, recipe))


def check_dependencies() -> None:
    """Check that the train extra is installed.

    Raises:
        TrainingError: If a package is missing.
    """
    missing = [name for name in TRAIN_EXTRA if find_spec(name) is None]
    if missing:
        raise TrainingError(f'training requires {", ".join(missing)}: pip install "textgen-onnx[train]"')


def train(arguments: argparse.Namespace, recipe: AnyRecipe) -> int:
    """Read the corpus, train, and return the exit code."""
    check_dependencies()
    corpus = read_corpus(arguments.corpus, Path.cwd())
    held_out = (
        read_corpus(arguments.held_out_file, Path.cwd())
        if arguments.held_out_file is not None
        else arguments.held_out
    )
    folder = arguments.output or default_folder(arguments.corpus, corpus)
    corpora = corpora_of(corpus, held_out)
    # Reading a large corpus takes long. The check comes before it.
    check_overwrites(folder, corpora, overwrite=arguments.overwrite)
    dataset = read_dataset(arguments, corpus, held_out, recipe, folder)
    recipe = recipe_from(arguments, len(dataset.tokenizer))
    if isinstance(recipe, ClassicRecipe) and len(dataset.training) <= recipe.window:
        raise CorpusError(
            f"the corpus {corpus.name} is too short: it has {len(dataset.training)} training characters, and "
            f"windows of {recipe.window} need at least {recipe.window + 1}"
        )
    with prepared_folder(folder, corpora, overwrite=arguments.overwrite):
        escape_unencodable(PROG, sys.stdout, dataset.tokenizer.symbols)
        write_stderr(
            describe_dataset(corpus.name, dataset) + describe_preset_changes(recipe, recipe_from(arguments))
        )
        # Importing torch takes seconds. It comes after all checks of the input.
        from textgen_train.loop.provenance import Provenance

        split = held_out if isinstance(held_out, Corpus) else dataset.held_out_share or 0.0
        provenance = Provenance(corpus, split, dataset, recipe, arguments.seed)
        return run_to_end(make_run(arguments, provenance, folder), folder)


def resume(given: argparse.Namespace) -> int:
    """Resume the run in the folder of ``--resume``, and return the exit code."""
    check_dependencies()
    folder = given.resume
    if not (folder / CHECKPOINT_FILE).exists():
        raise TrainingError(
            f"nothing to resume: {shorten(str(folder))} has no {CHECKPOINT_FILE}; start a run with "
            "textgen-train CORPUS"
        )
    with locked_folder(folder):
        checkpoint = read_checkpoint(folder / CHECKPOINT_FILE)
        if checkpoint.complete:
            sys.stdout.write(describe_complete_run(folder))
            return 0
        stored = StoredRun.from_dict(checkpoint.run)
        arguments, recipe = stored.read_arguments(given), stored.read_recipe()
        corpus = stored.find_text("corpus", arguments.corpus, folder)
        held_out = (
            stored.find_text("held_out_file", arguments.held_out_file, folder)
            if arguments.held_out_file is not None
            else arguments.held_out
        )
        check_inputs(folder, corpora_of(corpus, held_out))
        dataset = read_dataset(arguments, corpus, held_out, recipe, folder)
        stored.check_texts(corpus, held_out)
        stored.check_vocabulary(dataset)
        escape_unencodable(PROG, sys.stdout, dataset.tokenizer.symbols)
        write_stderr(describe_dataset(corpus.name, dataset))
        from textgen_train.loop.provenance import Provenance

        split = held_out if isinstance(held_out, Corpus) else dataset.held_out_share or 0.0
        provenance = Provenance(corpus, split, dataset, recipe, arguments.seed, stored.name)
        run = make_run(arguments, provenance, folder)
        state = checkpoint.state()
        run.restore(state)
        write_stderr(describe_resumption(state.trainer, stored.environment_changes()))
        return run_to_end(run, folder)


def read_dataset(
    arguments: argparse.Namespace,
    corpus: Corpus,
    held_out: float | Corpus | None,
    recipe: AnyRecipe,
    folder: Path,
) -> Dataset:
    """Read the texts, and return the dataset of the command line."""
    form = None if arguments.unicode == "none" else as_unicode_form(arguments.unicode)
    lowercase = arguments.lowercase or isinstance(recipe, ClassicRecipe)
    preparation = Preparation()
    dataset = make_dataset(
        corpus,
        Normalization(lowercase, form),
        held_out,
        arguments.min_count,
        folder=folder,
        on_read=preparation.add,
    )
    preparation.finish()
    return dataset


def corpora_of(corpus: Corpus, held_out: float | Corpus | None) -> list[Corpus]:
    """Return the corpora that a run reads."""
    return [corpus, held_out] if isinstance(held_out, Corpus) else [corpus]


def default_folder(source: str, corpus: Corpus) -> Path:
    """Return the default output folder, which is named after the corpus.

    The extension of a file name is dropped, and that of a compressed file before. The name of a folder is
    kept, even if it contains a dot.
    """
    name = corpus.name
    if not Path(source).is_dir():
        name = Path(Path(name).stem if name.endswith(COMPRESSED) else name).stem
    return Path(f"{name.replace(' ', '-') or 'text'}-model")


def make_run(arguments: argparse.Namespace, provenance: "Provenance", folder: Path) -> "TrainingRun":
    """Return the training run of the command line with its checkpoints, and print the size of its network.

    Raises:
        RecipeError: If the network is too large for an ONNX file.
        TrainingError: If memory ran out.
    """
    from textgen_train.export.onnx_graph import MAX_PARAMETERS
    from textgen_train.models.precision import has_bfloat16
    from textgen_train.report.checkpoints import CheckpointWriter
    from textgen_train.report.progress import make_progress

    from ._training_run import make_trainer, make_training_run

    threads = arguments.threads or available_processors()
    budget, progress = budget_from(arguments), make_progress()
    with explaining_memory_errors():
        trainer = make_trainer(provenance, budget, threads)
    model, replicas = trainer.model, len(trainer.replicas)
    if model.parameter_count > MAX_PARAMETERS:
        raise RecipeError(
            f"the network has {model.parameter_count:,} parameters, and an ONNX file holds at most "
            f"{MAX_PARAMETERS:,}: lower --units or --layers"
        )
    write_stderr(
        f"{len(model.layers)} x {model.units} LSTM units, {model.parameter_count:,} parameters, "
        f"{'bfloat16' if has_bfloat16() else 'float32'}, {replicas} thread{'s' * (replicas > 1)}\n"
    )
    run = make_training_run(
        trainer, provenance, folder, progress, samples=not arguments.no_samples, threads=threads
    )
    description = asdict(describe_run(arguments, provenance, budget, threads))
    run.add_watcher(CheckpointWriter(run, description, folder, progress.warn))
    return run


def run_to_end(run: "TrainingRun", folder: Path) -> int:
    """Run the training until its end or an interrupt, print the result, and return the exit code."""
    try:
        with deferred_interrupts() as interrupts, explaining_memory_errors():
            run.run(interrupts.check)
    except KeyboardInterrupt as interrupt:
        if isinstance(interrupt.__cause__, TextgenError):
            # The interrupt was deferred, and an error was raised before it took effect.
            print_diagnostic(PROG, str(interrupt.__cause__))
        print_diagnostic(PROG, describe_early_end(folder, run), "interrupted")
        return EXIT_INTERRUPTED
    except (TrainingError, OutputError) as error:
        raise type(error)(f"{error}; {describe_early_end(folder, run, error)}") from error
    sys.stdout.write(describe_result(folder, run))
    return 0
