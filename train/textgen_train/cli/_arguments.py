"""The arguments of ``textgen-train``."""

import argparse
from dataclasses import fields, replace
from pathlib import Path

from textgen_runtime.cli.parser import MAX_THREADS, CommandParser, number, whole_number
from textgen_runtime.corpora.corpus import NAMES
from textgen_runtime.text.normalization import UNICODE_FORMS

from textgen_train.errors import RecipeError
from textgen_train.recipe import LARGE_VOCABULARY, PRESETS, AnyRecipe, Budget, ClassicRecipe, Recipe, preset
from textgen_train.settings import option

PROG = "textgen-train"

DEFAULT_MINUTES = 5.0
DEFAULT_PRESET = "small"
RECIPES = (ClassicRecipe, Recipe)

# The textbook's.
CLASSIC_EPOCHS = 60
DEFAULT_HELD_OUT = 0.1

# A year.
MAX_MINUTES = 525_600.0

EXAMPLES = """\
examples:
  textgen-train python-docs --minutes 1
  textgen-train nietzsche --lowercase --epochs 20 -o my-nietzsche
  textgen-train my-novel.txt --preset large --minutes 60
  textgen-train nietzsche --recipe classic --epochs 10
  cat *.abc | textgen-train - -o tunes
"""


def parser() -> CommandParser:
    """The command's arguments."""
    command = CommandParser(
        PROG, "Train a character-level LSTM on a text and write it as an ONNX model.", EXAMPLES
    )
    command.add_argument(
        "corpus",
        metavar="CORPUS",
        help="a UTF-8 file, a folder of .txt files (also in sub-folders), - for standard input, or a name: "
        f"{', '.join(NAMES)}",
    )
    command.add_argument(
        "-o",
        "--output",
        metavar="FOLDER",
        type=Path,
        help="where the files go (default: CORPUS's name, without its ending, and -model)",
    )
    command.add_argument(
        "--overwrite", action="store_true", help="replace the files of an earlier run in the output folder"
    )
    length = command.add_mutually_exclusive_group()
    length.add_argument(
        "--minutes",
        metavar="M",
        type=number(f"above 0 and at most {MAX_MINUTES:g}", lambda value: 0 < value <= MAX_MINUTES),
        help=f"train for this long, evaluations included (default {DEFAULT_MINUTES:g})",
    )
    length.add_argument(
        "--epochs", metavar="N", type=whole_number(1), help="or for this many passes over the text"
    )
    add_text(command)
    command.add_argument(
        "--seed",
        metavar="N",
        type=whole_number(0),
        default=0,
        help="of weights, order, dropout and samples (default 0)",
    )
    command.add_argument("--no-samples", action="store_true", help="make no samples at the evaluations")
    command.add_argument(
        "--threads",
        metavar="N",
        type=whole_number(1, MAX_THREADS),
        help="how many threads train side by side, each on 8 or more streams (or windows) of the batch, and "
        "score (default: one for each processor that this process may use)",
    )
    add_recipe(command)
    return command


def add_text(command: CommandParser) -> None:
    """What is done to the text, and what part of it is held out."""
    command.add_argument("--lowercase", action="store_true", help="make the text lower case first")
    command.add_argument(
        "--unicode",
        metavar="FORM",
        choices=(*UNICODE_FORMS, "none"),
        default="NFC",
        help="Unicode normal form to bring the text into first: NFC, NFD, NFKC, NFKD, none (default NFC)",
    )
    command.add_argument(
        "--min-count",
        metavar="N",
        type=whole_number(1),
        default=1,
        help="make one unknown symbol of the symbols that the training text has fewer than N times; it is "
        "scored like any other and never drawn; losses with different N cannot be compared, since rare "
        "symbols are the hard ones (default 1: keep all)",
    )
    held_out = command.add_mutually_exclusive_group()
    held_out.add_argument(
        "--held-out",
        metavar="SHARE",
        type=number("a number between 0 and 1", lambda value: 0 < value < 1),
        default=DEFAULT_HELD_OUT,
        help="share of the text, cut from its end, to score on and not to learn from "
        f"(default {DEFAULT_HELD_OUT})",
    )
    held_out.add_argument(
        "--held-out-file",
        metavar="TEXT",
        help="a file, folder or name of its own to score on; all of CORPUS is learned from",
    )


def add_recipe(command: CommandParser) -> None:
    """The choice of a recipe, and an option for each number of any of them."""
    group = command.add_argument_group("recipe")
    which = group.add_mutually_exclusive_group()
    which.add_argument(
        "--preset",
        choices=PRESETS,
        help="size and dropout for an aim: small for one to ten minutes, medium for half an hour, "
        f"large for an hour (default {DEFAULT_PRESET}); with {LARGE_VOCABULARY} symbols or more, embedding, "
        "batch and slices are others than stated here, and the first lines of the run tell them",
    )
    which.add_argument(
        "--recipe",
        choices=[ClassicRecipe.name],
        help="classic repeats the textbook's experiment: lower case, windows of 60 from a blank state, "
        f"one-hot input, RMSprop; {CLASSIC_EPOCHS} epochs unless told otherwise",
    )
    own = {setting.name: setting for setting in fields(Recipe)}
    classic = {setting.name: setting for setting in fields(ClassicRecipe)}
    for name, setting in {**classic, **own}.items():
        whole = setting.type is int
        texts = [f"{setting.metadata['help']} ({preset_values(name)})"] if name in own else []
        if name in classic:
            texts.append(f"classic: {classic[name].metadata['help']} ({classic[name].default})")
        group.add_argument(
            f"--{option(name)}",
            metavar="N" if whole else "X",
            type=whole_number(0) if whole else number("a finite number"),
            help="; ".join(texts),
        )


def preset_values(name: str) -> str:
    """A setting's value in each preset, for the help."""
    values = {key: getattr(recipe, name) for key, recipe in PRESETS.items()}
    if len(set(values.values())) == 1:
        return f"default {values[DEFAULT_PRESET]}"
    return ", ".join(f"{key} {value}" for key, value in values.items())


def recipe_of(arguments: argparse.Namespace, vocabulary_size: int = 0) -> AnyRecipe:
    """The recipe that the command line asks for: a preset, with what is given in place of its own numbers.

    Args:
        arguments: Of the command line.
        vocabulary_size: How many symbols the corpus has; presets follow it.

    Raises:
        RecipeError: If a number is out of its range, or not one of the recipe's.
    """
    name = arguments.preset or DEFAULT_PRESET
    base = ClassicRecipe() if arguments.recipe else preset(name, vocabulary_size, budget_of(arguments))
    own = {setting.name for setting in fields(base)}
    given = {
        setting.name: value
        for recipe in RECIPES
        for setting in fields(recipe)
        if (value := getattr(arguments, setting.name)) is not None
    }
    for name in given:
        if name not in own:
            raise RecipeError(f"--{option(name)} is none of the {base.name} recipe's numbers")
    recipe = replace(base, **given)
    if isinstance(recipe, Recipe) and not recipe.muon_lr and "muon_weight_decay" in given:
        raise RecipeError("--muon-weight-decay has no effect where Muon's rate is 0: give --muon-lr too")
    return recipe


def budget_of(arguments: argparse.Namespace) -> Budget:
    """How long the command line asks to train."""
    if arguments.minutes is not None:
        return Budget(minutes=arguments.minutes)
    if arguments.epochs is None and arguments.recipe:
        return Budget(epochs=CLASSIC_EPOCHS)
    return Budget(minutes=DEFAULT_MINUTES) if arguments.epochs is None else Budget(epochs=arguments.epochs)
