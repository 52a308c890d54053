"""``textgen-train``: a text in, ``model.onnx`` out."""

import argparse
import shlex
import sys
from collections.abc import Sequence
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from textgen_runtime.cli.command import EXIT_INTERRUPTED, run_command
from textgen_runtime.corpora.corpus import Corpus, read_corpus
from textgen_runtime.errors import OutputError, TextgenError
from textgen_runtime.model_file.bundled import MODEL_FILE, unambiguous_path
from textgen_runtime.system.console import escape_unencodable, print_diagnostic, write_stderr
from textgen_runtime.system.processors import available_processors
from textgen_runtime.system.text_files import STANDARD_INPUT
from textgen_runtime.text.normalization import Normalization, as_unicode_form

from textgen_train.data.dataset import Dataset, make_dataset
from textgen_train.errors import CorpusError, RecipeError, TrainingError, explaining_memory_errors
from textgen_train.loop.eval_result import Evaluation
from textgen_train.loop.output_folder import prepared_folder
from textgen_train.recipe import LARGE_VOCABULARY, AnyRecipe, Budget, ClassicRecipe
from textgen_train.settings import option

from ._arguments import PROG, budget_of, parser, recipe_of
from ._interrupts import deferred_interrupts

if TYPE_CHECKING:
    from textgen_train.loop.provenance import Provenance
    from textgen_train.loop.run import TrainingRun
    from textgen_train.loop.trainer import Trainer

# What the extra brings, by the names that are imported.
EXTRA = ("torch", "onnx", "pooch", "filelock", "tqdm", "matplotlib")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Returns:
        The exit code: 0, 1 for an error of the user's, 130 after an interrupt; wrong usage exits with 2.
    """
    command = parser()
    arguments = command.parse_args(argv)
    if arguments.corpus == arguments.held_out_file == STANDARD_INPUT:
        command.error(f"{STANDARD_INPUT}, standard input, can be read only once")
    try:
        recipe = recipe_of(arguments)
    except RecipeError as error:
        command.error(str(error))
    return run_command(PROG, lambda: train(arguments, recipe))


def require_extra() -> None:
    """See that what training needs is installed; the runtime alone does not bring it.

    Raises:
        TrainingError: If it is not.
    """
    missing = [name for name in EXTRA if find_spec(name) is None]
    if missing:
        raise TrainingError(f'training needs {", ".join(missing)}: pip install "textgen-onnx[train]"')


def train(arguments: argparse.Namespace, recipe: AnyRecipe) -> int:
    """Read the corpus and train."""
    require_extra()
    corpus = read_corpus(arguments.corpus)
    held_out = (
        read_corpus(arguments.held_out_file) if arguments.held_out_file is not None else arguments.held_out
    )
    form = None if arguments.unicode == "none" else as_unicode_form(arguments.unicode)
    lowercase = arguments.lowercase or isinstance(recipe, ClassicRecipe)
    dataset = make_dataset(corpus, Normalization(lowercase, form), held_out, arguments.min_count)
    recipe = recipe_of(arguments, len(dataset.tokenizer))
    if isinstance(recipe, ClassicRecipe) and len(dataset.training) <= recipe.window:
        raise CorpusError(
            f"the corpus {corpus.name} is too short: its {len(dataset.training)} characters to learn from "
            f"hold no window of {recipe.window} with another character behind it"
        )
    folder = arguments.output or default_folder(arguments.corpus, corpus)
    corpora = [corpus, held_out] if isinstance(held_out, Corpus) else [corpus]
    with prepared_folder(folder, corpora, overwrite=arguments.overwrite):
        escape_unencodable(PROG, sys.stdout, dataset.tokenizer.symbols)
        write_stderr(described(corpus.name, dataset) + adapted(arguments, recipe))
        # Only here: torch takes seconds to import, and whatever is wrong with the above is known by now.
        from textgen_train.loop.provenance import Provenance

        provenance = Provenance(corpus, held_out, dataset, recipe, arguments.seed)
        return finish(make_run(arguments, provenance, folder), folder)


def described(name: str, dataset: Dataset) -> str:
    """The first line: how much text there is, and of how many symbols."""
    line = (
        f"{name}: {len(dataset.training):,} characters to learn from, {len(dataset.held_out):,} "
        f"held out, {len(dataset.tokenizer):,} different ones"
    )
    if dataset.rare:
        line += (
            f"; one of them stands for {dataset.rare:,} rare symbols, "
            f"{dataset.unknown_share(dataset.training):.2%} of the training text and "
            f"{dataset.unknown_share(dataset.held_out):.2%} of the held-out text"
        )
    return f"{line}\n"


def adapted(arguments: argparse.Namespace, recipe: AnyRecipe) -> str:
    """A line that tells which settings of the preset follow the size of the vocabulary; "" if none does."""
    usual = recipe_of(arguments, 0)
    changed = [
        f"--{option(name)} {value}" for name, value in asdict(recipe).items() if value != getattr(usual, name)
    ]
    return f"with {LARGE_VOCABULARY} symbols or more: {', '.join(changed)}\n" if changed else ""


def finish(run: "TrainingRun", folder: Path) -> int:
    """Run the training to its end or to an interrupt, and say what came of it."""
    try:
        with deferred_interrupts() as interrupts, explaining_memory_errors():
            run.run(interrupts.check)
    except KeyboardInterrupt as interrupt:
        if isinstance(interrupt.__cause__, TextgenError):
            # What went wrong while the interrupt waited.
            print_diagnostic(PROG, str(interrupt.__cause__))
        print_diagnostic(PROG, what_is_left(folder, run.best), "interrupted")
        return EXIT_INTERRUPTED
    except (TrainingError, OutputError) as error:
        if run.best is None:
            raise
        raise type(error)(f"{error}; {what_is_left(folder, run.best)}") from error
    sys.stdout.write(finished(folder, run))
    return 0


def default_folder(source: str, corpus: Corpus) -> Path:
    """Where the files go unless told otherwise; what follows a dot in a folder's name is no ending."""
    name = corpus.name if Path(source).is_dir() else Path(corpus.name).stem
    return Path(f"{name.replace(' ', '-') or 'text'}-model")


def make_run(arguments: argparse.Namespace, provenance: "Provenance", folder: Path) -> "TrainingRun":
    """A training run that is ready to start, after telling what it will train."""
    from textgen_train.export.onnx_graph import MAX_PARAMETERS
    from textgen_train.models.precision import has_bfloat16
    from textgen_train.report.progress import make_progress

    from ._watched_run import watched_run

    threads = arguments.threads or available_processors()
    with explaining_memory_errors():
        trainer = make_trainer(provenance, budget_of(arguments), threads)
    if trainer.model.parameter_count > MAX_PARAMETERS:
        raise RecipeError(
            f"a network of {trainer.model.parameter_count:,} parameters is too large for an ONNX file, which "
            f"holds {MAX_PARAMETERS:,}: lower --units or --layers"
        )
    model, replicas = trainer.model, len(trainer.replicas)
    write_stderr(
        f"{len(model.layers)} x {model.units} LSTM units, {model.parameter_count:,} parameters, "
        f"{'bfloat16' if has_bfloat16() else 'float32'}, {replicas} thread{'s' * (replicas > 1)}\n"
    )
    return watched_run(
        trainer, provenance, folder, make_progress(), samples=not arguments.no_samples, threads=threads
    )


def make_trainer(provenance: "Provenance", budget: Budget, threads: int) -> "Trainer":
    """A trainer of the recipe's kind."""
    from textgen_train.loop.classic_trainer import ClassicTrainer
    from textgen_train.loop.stateful_trainer import StatefulTrainer

    dataset, recipe = provenance.dataset, provenance.recipe
    text, size = dataset.training, len(dataset.tokenizer)
    if isinstance(recipe, ClassicRecipe):
        return ClassicTrainer(text, size, recipe, budget, provenance.seed, threads=threads)
    return StatefulTrainer(text, size, recipe, budget, provenance.seed, threads=threads)


def what_is_left(folder: Path, best: Evaluation | None) -> str:
    """What there is, to tell after a run that did not come to its end."""
    if best is None:
        return f"there was no model yet; nothing was written to {folder}"
    return f"{folder / MODEL_FILE} holds the best model so far, {best.held_out_nats:.4f} nats held out"


def finished(folder: Path, run: "TrainingRun") -> str:
    """What to tell in the end: the score, the files, and the command to run next."""
    nats = f"{run.best.held_out_nats:.4f} nats held out; " if run.best else ""
    model = shlex.quote(unambiguous_path(folder))
    return f"{nats}wrote {', '.join(run.files)} to {folder}; next: textgen-run {model} --temp 0.5\n"
