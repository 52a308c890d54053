"""``textgen-train``: train a model on a text and write ``model.onnx``."""

import argparse
import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from textgen_runtime.cli.command import EXIT_FAILED, EXIT_INTERRUPTED, run_command
from textgen_runtime.corpora.corpus import Corpus, read_corpus
from textgen_runtime.corpora.sources import COMPRESSED
from textgen_runtime.errors import EncodingError, OutputError, TextgenError, shorten
from textgen_runtime.system.console import escape_unencodable, print_diagnostic, write_stderr
from textgen_runtime.system.text_files import STANDARD_INPUT
from textgen_runtime.text.levels import BYTE
from textgen_runtime.text.normalization import Normalization, as_unicode_form
from textgen_runtime.text.tokenizer import Tokenizer

from textgen_train.data.dataset import Dataset, make_dataset
from textgen_train.data.vocabularies import VOCABULARY_SIZE
from textgen_train.errors import CorpusError, RecipeError, TrainingError, explaining_memory_errors
from textgen_train.loop.checkpoint_file import Checkpoint, read_checkpoint
from textgen_train.loop.output_folder import (
    CHECKPOINT_FILE,
    check_inputs,
    check_overwrites,
    locked_folder,
    prepared_folder,
)
from textgen_train.loop.ranks import SINGLE, DismissedError, Ranks, joined_ranks
from textgen_train.recipe import AnyRecipe, ClassicRecipe

from ._arguments import PROG, budget_from, check_usage, parent_source, parser, recipe_from, usual_recipe
from ._interrupts import deferred_interrupts
from ._messages import (
    describe_complete_run,
    describe_dataset,
    describe_early_end,
    describe_list,
    describe_network,
    describe_preset_changes,
    describe_result,
    describe_resumption,
)
from ._preparation import Preparation
from ._stored_run import StoredRun, describe_run

if TYPE_CHECKING:
    from textgen_train.loop.provenance import Provenance
    from textgen_train.loop.run import TrainingRun
    from textgen_train.loop.trainer import Trainer

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
    # The report shows the command.
    arguments.words = [PROG, *(sys.argv[1:] if argv is None else argv)]
    if arguments.resume is not None:
        return run_command(PROG, lambda: in_processes(arguments, lambda ranks: resume(arguments, ranks)))
    try:
        recipe = recipe_from(arguments)
    except RecipeError as error:
        command.error(str(error))
    return run_command(PROG, lambda: in_processes(arguments, lambda ranks: train(arguments, recipe, ranks)))


def check_dependencies(*, tensorboard: bool = False) -> None:
    """Check that the train extra is installed, and the tensorboard extra if it is needed.

    Raises:
        TrainingError: If a package is missing.
    """
    missing = [name for name in TRAIN_EXTRA if find_spec(name) is None]
    if missing:
        raise TrainingError(f'training requires {", ".join(missing)}: pip install "textgen-onnx[train]"')
    if tensorboard and find_spec("tensorboard") is None:
        raise TrainingError('--tensorboard requires tensorboard: pip install "textgen-onnx[tensorboard]"')


def in_processes(arguments: argparse.Namespace, call: Callable[[Ranks], int]) -> int:
    """Call a function with this process and the others that torchrun has started; return the exit code."""
    check_dependencies(tensorboard=arguments.tensorboard)
    try:
        with joined_ranks() as ranks:
            if ranks.size > 1 and STANDARD_INPUT in (arguments.corpus, arguments.held_out_file):
                raise CorpusError(
                    "several processes cannot read standard input: pass a file that each of them can read"
                )
            return call(ranks)
    except DismissedError:
        return EXIT_FAILED


def train(arguments: argparse.Namespace, recipe: AnyRecipe, ranks: Ranks) -> int:
    """Read the corpus, train, and return the exit code."""
    parent = None
    if parent_source(arguments) is not None:
        # It imports onnx, which is installed only with the train extra.
        from ._fine_tuning import start_from_parent

        parent = start_from_parent(arguments)
    any_bytes = arguments.level == BYTE
    corpus = read_corpus(arguments.corpus, Path.cwd(), any_bytes=any_bytes)
    held_out = (
        read_corpus(arguments.held_out_file, Path.cwd(), any_bytes=any_bytes)
        if arguments.held_out_file is not None
        else arguments.held_out
    )
    folder = arguments.output or default_folder(arguments.corpus, corpus)
    corpora = corpora_of(corpus, held_out)
    # Reading a large corpus takes long. The check comes before it.
    check_overwrites(folder, corpora, overwrite=arguments.overwrite)
    if parent:
        parent.check_folder(folder)
    tokenizer = parent.tokenizer if parent else None
    dataset = read_dataset(
        arguments, corpus, held_out, recipe, folder if ranks.is_first else None, tokenizer=tokenizer
    )
    recipe = recipe_from(arguments, len(dataset.tokenizer))
    if isinstance(recipe, ClassicRecipe) and len(dataset.training) <= recipe.window:
        raise CorpusError(
            f"the corpus {corpus.name} is too short: it has {len(dataset.training)} training characters, and "
            f"windows of {recipe.window} need at least {recipe.window + 1}"
        )
    with contextlib.ExitStack() as stack:
        if ranks.is_first:
            stack.enter_context(prepared_folder(folder, corpora, overwrite=arguments.overwrite))
            escape_unencodable(PROG, sys.stdout, dataset.tokenizer.symbols)
            changes = describe_preset_changes(recipe, recipe_from(arguments))
            start = parent.describe(dataset, arguments.preset) if parent else ""
            # A model determines the records, and the classic recipe has none.
            hint = "" if parent or isinstance(recipe, ClassicRecipe) else describe_list(dataset)
            write_stderr(start + describe_dataset(corpus.name, dataset) + hint + changes)
        # Importing torch takes seconds. It comes after all checks of the input.
        from textgen_train.loop.provenance import Provenance

        split = held_out if isinstance(held_out, Corpus) else dataset.held_out_share or 0.0
        origin = parent.provenance() if parent else None
        provenance = Provenance(corpus, split, dataset, recipe, arguments.seed, parent=origin)
        trainer = make_checked_trainer(arguments, provenance, ranks)
        if parent:
            parent.load_weights(trainer.model, dataset)
        ranks.begin(shared_values(provenance, trainer))
        if not ranks.is_first:
            return follow(trainer)
        return run_to_end(make_run(arguments, trainer, provenance, folder), folder, ranks, arguments)


@contextlib.contextmanager
def open_checkpoint(folder: Path) -> Iterator[Checkpoint]:
    """Return a context with the checkpoint of a folder, in which the folder is locked."""
    if not (folder / CHECKPOINT_FILE).exists():
        raise TrainingError(
            f"nothing to resume: {shorten(str(folder))} has no {CHECKPOINT_FILE}; start a run with "
            "textgen-train CORPUS"
        )
    with locked_folder(folder):
        yield read_checkpoint(folder / CHECKPOINT_FILE)


def resume(given: argparse.Namespace, ranks: Ranks) -> int:
    """Resume the run in the folder of ``--resume``, and return the exit code."""
    folder = given.resume
    with contextlib.ExitStack() as stack:
        checkpoint = stack.enter_context(open_checkpoint(folder)) if ranks.is_first else None
        complete = describe_complete_run(folder) if checkpoint and checkpoint.complete else ""
        description = ranks.share_first(checkpoint.run if checkpoint and not complete else None)
        if description is None:
            sys.stdout.write(complete)
            return 0
        stored = StoredRun.from_dict(description)
        arguments, recipe = stored.read_arguments(given), stored.read_recipe()
        # The same replicas, in this number of processes.
        arguments.threads = max(1, arguments.threads // ranks.size)
        check_dependencies(tensorboard=arguments.tensorboard)
        corpus = stored.find_text("corpus", arguments.corpus, folder, level=arguments.level)
        held_out = (
            stored.find_text("held_out_file", arguments.held_out_file, folder, level=arguments.level)
            if arguments.held_out_file is not None
            else arguments.held_out
        )
        check_inputs(folder, corpora_of(corpus, held_out))
        first_folder, tokenizer = folder if ranks.is_first else None, stored.read_tokenizer()
        dataset = read_dataset(arguments, corpus, held_out, recipe, first_folder, tokenizer=tokenizer)
        stored.check_texts(corpus, held_out)
        stored.check_vocabulary(dataset)
        if ranks.is_first:
            escape_unencodable(PROG, sys.stdout, dataset.tokenizer.symbols)
            write_stderr(describe_dataset(corpus.name, dataset))
        from textgen_train.loop.provenance import Provenance

        split = held_out if isinstance(held_out, Corpus) else dataset.held_out_share or 0.0
        origin = stored.parent_provenance
        provenance = Provenance(corpus, split, dataset, recipe, arguments.seed, stored.name, origin)
        trainer = make_checked_trainer(arguments, provenance, ranks)
        ranks.begin(shared_values(provenance, trainer))
        if checkpoint is None:
            return follow(trainer)
        run = make_run(arguments, trainer, provenance, folder)
        state = checkpoint.state()
        run.restore(state)
        write_stderr(describe_resumption(state.trainer, stored.environment_changes()))
        return run_to_end(run, folder, ranks, arguments)


def read_dataset(  # noqa: PLR0913 (all are needed; the last has a default)
    arguments: argparse.Namespace,
    corpus: Corpus,
    held_out: float | Corpus | None,
    recipe: AnyRecipe,
    folder: Path | None,
    *,
    tokenizer: Tokenizer | None = None,
) -> Dataset:
    """Read the texts, and return the dataset of the command line.

    The first process of a run passes the output folder, and shows how much it has read. A run that starts
    from a model passes the vocabulary of the model.
    """
    form = None if arguments.unicode == "none" else as_unicode_form(arguments.unicode)
    lowercase = arguments.lowercase or isinstance(recipe, ClassicRecipe)
    preparation = Preparation()
    try:
        dataset = make_dataset(
            corpus,
            Normalization(lowercase, form),
            held_out,
            arguments.min_count,
            level=arguments.level,
            vocabulary_size=arguments.vocabulary_size or VOCABULARY_SIZE,
            tokenizer=tokenizer,
            extend=arguments.extend,
            records=arguments.records,
            folder=folder,
            on_read=preparation.add if folder else None,
        )
    except EncodingError as error:
        raise EncodingError(f"{error}; or train on the bytes of any file with --level byte") from None
    if folder:
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


def make_checked_trainer(arguments: argparse.Namespace, provenance: "Provenance", ranks: Ranks) -> "Trainer":
    """Return the trainer of the command line.

    Raises:
        RecipeError: If the network is too large for an ONNX file.
        TrainingError: If memory ran out, if there is no such device, or if there are too many processes.
    """
    from textgen_train.export.onnx_graph import MAX_PARAMETERS

    from ._training_run import make_trainer

    with explaining_memory_errors():
        trainer = make_trainer(provenance, budget_from(arguments), arguments.threads, arguments.device, ranks)
    model = trainer.model
    if model.parameter_count > MAX_PARAMETERS:
        raise RecipeError(
            f"the network has {model.parameter_count:,} parameters, and an ONNX file holds at most "
            f"{MAX_PARAMETERS:,}: lower --units or --layers"
        )
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
    arguments: argparse.Namespace, trainer: "Trainer", provenance: "Provenance", folder: Path
) -> "TrainingRun":
    """Return the training run of the command line with its checkpoints; print its network and hardware."""
    from textgen_train.loop.replicas import resolve_thread_count
    from textgen_train.report.checkpoints import CheckpointWriter
    from textgen_train.report.progress import make_progress
    from textgen_train.report.tensorboard import TensorBoard

    from ._training_run import make_training_run

    write_stderr(describe_network(trainer))
    threads, progress = resolve_thread_count(arguments.threads, trainer.replicas.ranks), make_progress()
    run = make_training_run(
        trainer,
        provenance,
        folder,
        progress,
        samples=not arguments.no_samples,
        threads=threads,
        command=arguments.words,
        usual=usual_recipe(arguments, len(provenance.dataset.tokenizer)),
    )
    all_threads = threads * trainer.replicas.ranks.size
    description = asdict(describe_run(arguments, provenance, trainer.budget, all_threads))
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
            print_diagnostic(PROG, str(interrupt.__cause__))
        print_diagnostic(PROG, describe_early_end(folder, run, piped=piped), "interrupted")
        return EXIT_INTERRUPTED
    except (TrainingError, OutputError) as error:
        raise type(error)(f"{error}; {describe_early_end(folder, run, error, piped=piped)}") from error
    sys.stdout.write(describe_result(folder, run, has_records=arguments.records is not None))
    return 0
