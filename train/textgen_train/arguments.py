"""The arguments of ``textgen-train``."""

import argparse
from dataclasses import fields
from pathlib import Path

from textgen_runtime.cli.shell import MOST_THREADS, CommandParser, number, whole_number
from textgen_runtime.vocabulary import UNICODE_FORMS

from .corpus import NAMES
from .recipe import Recipe

PROG = "textgen-train"

DEFAULT_MINUTES = 5.0
DEFAULT_HELD_OUT = 0.1

# A year.
MOST_MINUTES = 525_600.0

EXAMPLES = """\
examples:
  textgen-train python-docs --minutes 1
  textgen-train nietzsche --lowercase --epochs 20 -o nietzsche
  textgen-train my-novel.txt --units 512 --layers 2 --dropout 0.2 --minutes 60
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
        type=number(f"above 0 and at most {MOST_MINUTES:g}", lambda value: 0 < value <= MOST_MINUTES),
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
        type=number("a number between 0 and 1", lambda value: 0 < value < 1),
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
        "--threads", metavar="N", type=whole_number(1, MOST_THREADS), help="processor threads (default: all)"
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
            type=whole_number(0) if whole else number("a finite number"),
            default=setting.default,
            help=f"{setting.metadata['help']} (default {setting.default})",
        )


def recipe_of(arguments: argparse.Namespace) -> Recipe:
    """The recipe that the command line asks for.

    Raises:
        RecipeError: If a number is out of its range.
    """
    return Recipe(**{setting.name: getattr(arguments, setting.name) for setting in fields(Recipe)})
