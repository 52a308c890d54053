"""``textgen-train``: a text in, ``model.onnx`` out."""

import argparse
import math
import shlex
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from textgen_runtime.cli.shell import (
    EXIT_INTERRUPTED,
    CommandParser,
    complain,
    escape_unencodable,
    run_command,
    whole_number,
)
from textgen_runtime.errors import OutputError
from textgen_runtime.vocabulary import UNICODE_FORMS, Normalization, as_unicode_form

from .corpus import NAMES, read_corpus
from .dataset import make_dataset
from .errors import RecipeError
from .recipe import Budget, Recipe
from .report import CURVES_FILE, METRICS_FILE, MODEL_FILE, SAMPLES_FILE, Evaluation

PROG = "textgen-train"

DEFAULT_MINUTES = 5.0
DEFAULT_HELD_OUT = 0.1

EXAMPLES = """\
examples:
  textgen-train python-docs --minutes 1
  textgen-train nietzsche --lowercase --epochs 20 -o nietzsche
  textgen-train my-novel.txt --units 512 --layers 2 --dropout 0.2 --minutes 60
  cat *.abc | textgen-train - -o tunes
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Returns:
        The exit code: 0, 1 for an error of the user's, 130 after an interrupt; wrong usage exits with 2.
    """
    command = parser()
    arguments = command.parse_args(argv)
    try:
        recipe = recipe_of(arguments)
    except RecipeError as error:
        command.error(str(error))
    return run_command(PROG, lambda: train(arguments, recipe))


def parser() -> CommandParser:
    """The command's arguments."""
    command = CommandParser(
        PROG, "Train a character-level LSTM on a text and write it as an ONNX model.", EXAMPLES
    )
    command.add_argument(
        "corpus",
        metavar="CORPUS",
        help=f"a UTF-8 file, a folder of .txt files, - for standard input, or a name: {', '.join(NAMES)}",
    )
    command.add_argument(
        "-o",
        "--output",
        metavar="FOLDER",
        type=Path,
        help="where the files go (default: CORPUS's name and -model)",
    )
    command.add_argument(
        "--overwrite", action="store_true", help="replace a model that is already in the output folder"
    )
    length = command.add_mutually_exclusive_group()
    length.add_argument(
        "--minutes",
        metavar="M",
        type=minutes,
        default=DEFAULT_MINUTES,
        help=f"train for this long, evaluations included (default {DEFAULT_MINUTES:g})",
    )
    length.add_argument(
        "--epochs", metavar="N", type=whole_number(1), help="or for this many passes over the text"
    )
    command.add_argument("--lowercase", action="store_true", help="make the text lower case first")
    command.add_argument(
        "--unicode",
        metavar="FORM",
        choices=(*UNICODE_FORMS, "none"),
        default="NFC",
        help="Unicode normal form to bring the text into first: NFC, NFD, NFKC, NFKD, none (default NFC)",
    )
    held_out = command.add_mutually_exclusive_group()
    held_out.add_argument(
        "--held-out",
        metavar="SHARE",
        type=share,
        default=DEFAULT_HELD_OUT,
        help="share of the text, cut from its end, to score on and not to learn from "
        f"(default {DEFAULT_HELD_OUT})",
    )
    held_out.add_argument(
        "--held-out-file", metavar="FILE", help="a text of its own to score on; all of CORPUS is learned from"
    )
    command.add_argument(
        "--seed",
        metavar="N",
        type=whole_number(0),
        default=0,
        help="of weights, order and samples (default 0)",
    )
    command.add_argument("--no-samples", action="store_true", help="make no samples at the evaluations")
    command.add_argument(
        "--threads", metavar="N", type=whole_number(1), help="processor threads (default: all)"
    )
    add_recipe(command)
    return command


def add_recipe(command: CommandParser) -> None:
    """An option for each number of the recipe."""
    group = command.add_argument_group("recipe")
    for setting in fields(Recipe):
        whole = setting.type is int
        group.add_argument(
            f"--{setting.name.replace('_', '-')}",
            metavar="N" if whole else "X",
            type=whole_number(0) if whole else number,
            default=setting.default,
            help=f"{setting.metadata['help']} (default {setting.default})",
        )


def number(text: str) -> float:
    """An argument type: a finite number."""
    try:
        value = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"{text} is not a finite number")
    return value


def minutes(text: str) -> float:
    """An argument type: a number above 0."""
    value = number(text)
    if value <= 0:
        raise argparse.ArgumentTypeError(f"must be above 0, not {text}")
    return value


def share(text: str) -> float:
    """An argument type: a number between 0 and 1."""
    value = number(text)
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"must lie between 0 and 1, not {text}")
    return value


def recipe_of(arguments: argparse.Namespace) -> Recipe:
    """The recipe that the command line asks for.

    Raises:
        RecipeError: If a number is out of its range.
    """
    return Recipe(**{setting.name: getattr(arguments, setting.name) for setting in fields(Recipe)})


def prepare_folder(folder: Path, *, overwrite: bool) -> None:
    """Make the output folder and see that it can be used, before any work is put into it.

    Raises:
        OutputError: If it cannot be written to, or holds a model that is not to be replaced.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OutputError(f"cannot write into the folder {folder}: {error.strerror or error}") from None
    if (folder / MODEL_FILE).exists() and not overwrite:
        raise OutputError(
            f"{folder / MODEL_FILE} exists: choose another folder with -o, or pass --overwrite to replace it"
        )


def train(arguments: argparse.Namespace, recipe: Recipe) -> int:
    """Read the corpus, train, and say what came of it."""
    corpus = read_corpus(arguments.corpus)
    held_out = read_corpus(arguments.held_out_file) if arguments.held_out_file else arguments.held_out
    form = None if arguments.unicode == "none" else as_unicode_form(arguments.unicode)
    dataset = make_dataset(corpus, Normalization(arguments.lowercase, form), held_out)
    folder = arguments.output or Path(f"{Path(corpus.name).stem.replace(' ', '-')}-model")
    prepare_folder(folder, overwrite=arguments.overwrite)
    escape_unencodable(PROG, sys.stdout, dataset.vocabulary.symbols)
    sys.stderr.write(
        f"{corpus.name}: {len(dataset.training):,} characters to learn from, {len(dataset.held_out):,} held "
        f"out, {len(dataset.vocabulary)} different ones\n"
    )

    # Only here: torch takes seconds to import, and whatever is wrong with the above is known by now.
    import torch

    from .precision import has_bfloat16
    from .progress import make_progress
    from .provenance import Provenance
    from .run import TrainingRun
    from .trainer import Trainer

    if arguments.threads is not None:
        torch.set_num_threads(arguments.threads)
    budget = Budget(epochs=arguments.epochs) if arguments.epochs else Budget(minutes=arguments.minutes)
    trainer = Trainer(dataset.training, len(dataset.vocabulary), recipe, budget, arguments.seed)
    sys.stderr.write(
        f"{recipe.layers} x {recipe.units} LSTM units, {trainer.model.parameter_count:,} parameters, "
        f"{'bfloat16' if has_bfloat16() else 'float32'}, {torch.get_num_threads()} threads\n"
    )
    provenance = Provenance(corpus, held_out, dataset, recipe, arguments.seed)
    run = TrainingRun(trainer, provenance, folder, make_progress(), samples=not arguments.no_samples)
    try:
        run.run()
    except KeyboardInterrupt:
        complain(PROG, interrupted(folder, run.best), "interrupted")
        return EXIT_INTERRUPTED
    sys.stdout.write(finished(folder, run.best, samples=not arguments.no_samples))
    return 0


def interrupted(folder: Path, best: Evaluation | None) -> str:
    """What to tell after an interrupt."""
    if best is None:
        return "there was no model yet, and nothing was written"
    return f"{folder / MODEL_FILE} holds the best model so far, {best.held_out_nats:.4f} nats held out"


def finished(folder: Path, best: Evaluation | None, *, samples: bool) -> str:
    """What to tell in the end: the score, the files, and the command to run next."""
    files = [MODEL_FILE, METRICS_FILE, *([SAMPLES_FILE] if samples else []), CURVES_FILE]
    nats = "" if best is None else f"{best.held_out_nats:.4f} nats held out; "
    model = shlex.quote(str(folder / MODEL_FILE))
    return f"{nats}wrote {', '.join(files)} to {folder}; next: textgen-run {model} --temp 0.5\n"
