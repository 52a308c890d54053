"""``textgen-train``: train a model on a text and write ``model.onnx``."""

import argparse
import contextlib
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from textgen_runtime.cli.command import EXIT_FAILED
from textgen_runtime.corpora.corpus import Corpus, read_corpus
from textgen_runtime.corpora.sources import COMPRESSED
from textgen_runtime.errors import EncodingError
from textgen_runtime.system.console import escape_unencodable, print_diagnostic, write_stderr
from textgen_runtime.system.text_files import STANDARD_INPUT
from textgen_runtime.text.levels import BYTE

from textgen_train.data.dataset import Dataset
from textgen_train.errors import CorpusError, RecipeError, extended
from textgen_train.loop.output_folder import check_overwrites, check_room, prepared_folder, remove_replaced
from textgen_train.loop.ranks import DismissedError, Ranks, joined_ranks
from textgen_train.recipe import AnyRecipe, ClassicRecipe

from ._arguments import PROG, option, parser, run_training_command
from ._dependencies import check_dependencies
from ._execution import (
    check_device,
    estimate_epochs,
    follow,
    make_provenance,
    make_ready_trainer,
    make_run,
    run_to_end,
)
from ._interrupts import cleaning_up
from ._messages import describe_dataset, describe_list, describe_no_model, describe_preset_changes
from ._recipe_arguments import budget_from, recipe_from
from ._resume import resume
from ._texts import Texts
from ._usage import check_usage, given_arguments, parent_source

if TYPE_CHECKING:
    from textgen_train.loop.provenance import Provenance

    from ._fine_tuning import ParentModel

EQUAL_TEXTS = (
    "the held-out text is the corpus itself, so the held-out loss is a loss of the training text: pass "
    "another text with --held-out-file, or omit the option"
)

TRAINED_TEXT = (
    "the model of --from was trained on {:.0%} of the held-out text, so the held-out loss is too low: hold "
    "out as much as that model, or pass another text with --held-out-file"
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Returns:
        The exit code: 0 on success, 1 after an error, 130 after an interrupt. Wrong usage exits with 2.
    """
    command = parser()
    arguments = command.parse_args(argv)
    check_usage(command, arguments, given_arguments(command, argv))
    arguments.words = sys.argv[1:] if argv is None else list(argv)
    if arguments.resume is not None:
        return run_training_command(
            PROG, lambda: in_processes(arguments, lambda ranks: resume(arguments, ranks))
        )
    try:
        recipe = recipe_from(arguments)
    except RecipeError as error:
        command.error(error.spelled(option))
    return run_training_command(
        PROG, lambda: in_processes(arguments, lambda ranks: train(arguments, recipe, ranks))
    )


def in_processes(arguments: argparse.Namespace, call: Callable[[Ranks], int]) -> int:
    """Call a function with this process and the others that torchrun has started; return the exit code."""
    check_dependencies(tensorboard=arguments.tensorboard)
    try:
        with joined_ranks() as ranks:
            if ranks.size > 1 and STANDARD_INPUT in (arguments.corpus, arguments.held_out_file):
                raise CorpusError(
                    "several processes cannot read standard input: pass a file that each of them can read"
                )
            # The report shows the command.
            arguments.words = [*launcher(ranks), *arguments.words]
            return call(ranks)
    except DismissedError:
        return EXIT_FAILED


def launcher(ranks: Ranks) -> list[str]:
    """Return the words that start the command in these processes, without its arguments."""
    if ranks.size == 1:
        return [PROG]
    machines = ranks.size // ranks.local_size
    together = ["--standalone"] if machines == 1 else ["--nnodes", str(machines)]
    return ["torchrun", *together, "--nproc-per-node", str(ranks.local_size), "-m", "textgen_train"]


def train(arguments: argparse.Namespace, recipe: AnyRecipe, ranks: Ranks) -> int:
    """Read the corpus, train, and return the exit code."""
    parent = None
    if parent_source(arguments) is not None:
        # It imports onnx, which is installed only with the train extra.
        from ._fine_tuning import start_from_parent

        parent = start_from_parent(arguments)
        # The model determines the network, for which some options are invalid. Reading a large corpus takes
        # long.
        recipe = recipe_from(arguments)
    check_device(arguments.device, ranks)
    texts = open_texts(arguments)
    folder = arguments.output or default_folder(arguments.corpus, texts.corpus)
    # Reading a large corpus takes long. The check comes before it.
    check_overwrites(folder, texts.corpora, overwrite=arguments.overwrite)
    if parent:
        parent.check_folder(folder)
    dataset = read_dataset(texts, arguments, recipe, folder if ranks.is_first else None, parent)
    with contextlib.ExitStack() as stack:
        clean_up: contextlib.AbstractContextManager[None] = contextlib.nullcontext()
        if ranks.is_first:
            remove_unused = stack.enter_context(
                prepared_folder(folder, texts.corpora, overwrite=arguments.overwrite)
            )
            # The context of the folder cleans up after an exception; this one before a signal ends the
            # process.
            # Several processes wait for each other in compiled code, where a handled signal would wait, too.
            if ranks.size == 1:
                clean_up = cleaning_up(lambda: end_before_start(folder, remove_unused))
        with clean_up:
            if ranks.is_first:
                print_start(texts, dataset, recipe, parent, arguments.preset)
            provenance, epochs = choose_recipe(arguments, texts, dataset, parent, ranks)
            trainer = make_ready_trainer(
                arguments,
                provenance,
                ranks,
                lambda model: parent.load_weights(model, dataset) if parent else None,
            )
            if not ranks.is_first:
                return follow(trainer)
            check_room(folder, trainer.model.parameter_count)
            remove_replaced(folder)
            run = make_run(arguments, trainer, provenance, folder, epochs)
        return run_to_end(run, folder, ranks, arguments)


def end_before_start(folder: Path, remove_unused: Callable[[], None]) -> None:
    """Remove a new folder, and print that a run that has not begun has no model."""
    remove_unused()
    print_diagnostic(PROG, describe_no_model(folder), "interrupted")


def open_texts(arguments: argparse.Namespace) -> Texts:
    """Return the texts of the command line, which have not been read yet."""
    any_bytes, records = arguments.level == BYTE, arguments.records
    corpus = read_corpus(arguments.corpus, Path.cwd(), any_bytes=any_bytes, records=records)
    if arguments.held_out_file is None:
        return Texts(corpus, arguments.held_out)
    return Texts(
        corpus, read_corpus(arguments.held_out_file, Path.cwd(), any_bytes=any_bytes, records=records)
    )


def read_dataset(
    texts: Texts,
    arguments: argparse.Namespace,
    recipe: AnyRecipe,
    folder: Path | None,
    parent: "ParentModel | None",
) -> Dataset:
    """Return the dataset of a new run; see ``Texts.read``. Only a run without a model chooses its level."""
    try:
        return texts.read(arguments, recipe, folder, parent.tokenizer if parent else None)
    except EncodingError as error:
        hint = "" if parent else "; or train on the bytes of any file with --level byte"
        raise extended(error, hint) from None


def print_start(
    texts: Texts, dataset: Dataset, recipe: AnyRecipe, parent: "ParentModel | None", preset: str
) -> None:
    """Print the first lines of a run."""
    escape_unencodable(PROG, sys.stdout, dataset.tokenizer.symbols)
    start = parent.describe(dataset, preset) if parent else ""
    # A model determines the records, and the classic recipe has none.
    hint = "" if parent or isinstance(recipe, ClassicRecipe) else describe_list(dataset)
    write_stderr(start + describe_dataset(texts.corpus, dataset) + hint)
    if texts.are_equal:
        print_diagnostic(PROG, EQUAL_TEXTS, "warning")
    elif parent and round(share := parent.trained_share(texts.corpus, texts.held_out, dataset), 2):
        print_diagnostic(PROG, TRAINED_TEXT.format(share), "warning")


def choose_recipe(
    arguments: argparse.Namespace,
    texts: Texts,
    dataset: Dataset,
    parent: "ParentModel | None",
    ranks: Ranks,
) -> tuple["Provenance", float | None]:
    """Return the data of the run with its recipe, and the number of epochs that the recipe is for."""
    budget, origin = budget_from(arguments), parent.provenance() if parent else None
    epochs: float | None = budget.epochs
    recipe = recipe_from(arguments, dataset, epochs)
    provenance = make_provenance(texts, dataset, recipe, arguments.seed, parent=origin)
    depends = recipe_from(arguments, dataset, 0.0) != recipe_from(arguments, dataset, math.inf)
    if budget.minutes is not None and depends:
        epochs = estimate_epochs(arguments, provenance, budget.minutes, ranks)
        recipe = recipe_from(arguments, dataset, epochs)
    if ranks.is_first:
        write_stderr(describe_preset_changes(recipe, recipe_from(arguments), epochs))
    return replace(provenance, recipe=recipe), epochs


def default_folder(source: str, corpus: Corpus) -> Path:
    """Return the default output folder, which is named after the corpus.

    The extension of a file name is dropped, and that of a compressed file before. The name of a folder is
    kept, even if it contains a dot.
    """
    name = corpus.name
    if not Path(source).is_dir():
        name = Path(Path(name).stem if name.endswith(COMPRESSED) else name).stem
    return Path(f"{name.replace(' ', '-') or 'text'}-model")
