"""The arguments of ``textgen-train``: the declared options, and which of them may be combined."""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import Field, dataclass, fields
from pathlib import Path
from typing import Any

from textgen_runtime.cli.command import spell_option
from textgen_runtime.cli.parser import CommandParser
from textgen_runtime.corpus import CHECKPOINT_FILE
from textgen_runtime.errors import Name, shorten
from textgen_runtime.tokenizer import BYTE

from textgen_train.errors import RecipeError, TrainingError
from textgen_train.options import PROG, TEXTS, RunOptions, check_standard_input
from textgen_train.parameters import Parameters, flag, format_value, kind_of, option_name, path
from textgen_train.presets import LARGE_VOCABULARY, PRESETS
from textgen_train.recipe import ClassicRecipe, Recipe

EXAMPLES = """\
examples:
  textgen-train python-docs --minutes 1
  textgen-train nietzsche --lowercase --epochs 20 -o my-nietzsche
  textgen-train my-novel.txt --preset large --minutes 60
  textgen-train nietzsche --lowercase --cell gru
  textgen-train nietzsche --recipe classic --epochs 10
  textgen-train my-novel.txt --from nietzsche --extend -o tuned
  textgen-train my-novel.txt --teacher large/model.onnx -o small
  textgen-train my-novel.txt --level word --vocabulary-size 8000 -o words
  textgen-train tunes/ --records blank -o tunes-model
  textgen-train --resume my-novel-model
"""

# The headings of the help in order, with what is printed below them.
GROUPS = {
    "corpus": None,
    "fine-tuning": None,
    "distillation": None,
    "budget": None,
    "hardware": "torchrun -m textgen_train CORPUS [OPTIONS] trains in several processes.",
    "recipe": "A preset or the classic recipe sets the default values of the options below.\n"
    f"Three values such as {'/'.join(str(recipe.units) for recipe in PRESETS.values())} are the defaults of "
    f"{'/'.join(PRESETS)}.\n"
    f"If the text has {LARGE_VOCABULARY} common symbols or more, as in Chinese, or if the run has few\n"
    "or many epochs, some defaults are other values. Each run prints its values.",
    "network": "The cells gru and conv have other default sizes, with about as many parameters.\n"
    "With gru, --preset large also has the learning rate and the weight decay of the\n"
    "smaller presets. With conv, --residual is on, and each preset has its own dropout.",
    "optimization": "Muon trains the matrices of the layers; AdamW trains all other parameters. Their\n"
    "learning rates are scaled by sqrt(128 / units) and anneal to 0 over the run.\n"
    "The classic recipe uses RMSprop with a constant learning rate, and batches\n"
    "of windows.",
    "classic recipe only": None,
    "output": None,
    "resume": None,
}

# The group of a parameter that does not name one.
OTHER_GROUP = "optimization"


@dataclass(frozen=True)
class CallOptions(Parameters):
    """The options that belong to a single call of the command."""

    output: Path | None = path(  # noqa: RUF009 (a field)
        "output folder (default: CORPUS-model, without the file extension, and with - for spaces)",
        metavar="PATH",
        group="output",
        short="-o",
    )
    overwrite: bool = flag("replace the files of an earlier run in the output folder", group="output")
    resume: Path | None = path(  # noqa: RUF009 (a field)
        "continue the run of this output folder where it stopped, with its options; pass CORPUS and "
        "--held-out-file only if the texts have moved or were standard input",
        metavar="FOLDER",
        group="resume",
    )


# The hyperparameters of both recipes. Those of the same name have the same option.
HYPERPARAMETERS = {
    parameter.name: parameter
    for parameter in (
        *fields(Recipe),
        *(parameter for parameter in fields(ClassicRecipe) if not hasattr(Recipe, parameter.name)),
    )
}

# The options of a call and of a run. The field with the chosen hyperparameters is not an option.
OPTIONS = {
    parameter.name: parameter
    for options in (CallOptions, RunOptions)
    for parameter in fields(options)
    if parameter.metadata
}

# The arguments that cannot accompany --from, because the model determines them.
MODEL_ARGUMENTS = (
    *("cell", "units", "layers", "residual", "embedding"),
    *("level", "vocabulary_size", "records", "lowercase", "unicode", "min_count", "recipe"),
)

# The arguments that cannot accompany --level byte, because bytes are not changed.
TEXT_ARGUMENTS = ("lowercase", "unicode", "min_count")


@dataclass(frozen=True)
class Command:
    """A parsed command line.

    Attributes:
        texts: Where the texts are read from, by the names of their options. A resumed run reads those that
            are given instead of its own.
    """

    call: CallOptions
    run: RunOptions | None
    texts: dict[str, str]
    words: Sequence[str]


def parse(words: Sequence[str] | None) -> Command:
    """Parse a command line. Wrong usage ends the process."""
    command = parser()
    # Contains only what is given, so that an option with its default value can be told from none.
    given = vars(command.parse_args(words))
    try:
        check_usage(given)
        call = CallOptions(**{name: given[name] for name in given if hasattr(CallOptions, name)})
        run = None
        if call.resume is None:
            options = {name: given[name] for name in given if hasattr(RunOptions, name)}
            hyperparameters = {name: given[name] for name in given if name in HYPERPARAMETERS}
            run = RunOptions(**options, hyperparameters=hyperparameters)
    except (RecipeError, TrainingError) as error:
        command.error(error.spelled(option))
    texts = {name: given[name] for name in TEXTS if name in given}
    return Command(call, run, texts, sys.argv[1:] if words is None else list(words))


def option(name: Name) -> str:
    """Return how a parameter is spelled on the command line."""
    presentation = OPTIONS[name].metadata if name in OPTIONS else {}
    if name == "corpus":
        return str(presentation["metavar"])
    if "short" in presentation:
        return str(presentation["short"])
    return spell_option(Name(presentation.get("option", name), name.value))


def text_words(name: str, source: str) -> str:
    """Return the words that pass a text to the command; ``name`` is one of ``TEXTS``."""
    return source if name == "corpus" else f"{option(Name(name))} {source}"


def parser() -> CommandParser:
    """Return the argument parser of the command. Arguments that are not given are not in its result."""
    command = CommandParser(
        PROG, "Train a model of the characters, bytes or words of a text, and export it to ONNX.", EXAMPLES
    )
    command.usage = "%(prog)s CORPUS [OPTIONS] | [CORPUS] --resume FOLDER"
    for title, description in GROUPS.items():
        group = command.add_argument_group(title, description)
        for parameter in (*HYPERPARAMETERS.values(), *OPTIONS.values()):
            if parameter.metadata.get("group", OTHER_GROUP) == title:
                add_argument(group, parameter)
    return command


def add_argument(container: argparse._ActionsContainer, parameter: Field[Any]) -> None:
    """Add the argument of a parameter. ``RunOptions`` checks its value, and which options exclude others."""
    metadata, kind = parameter.metadata, kind_of(parameter)
    is_hyperparameter = HYPERPARAMETERS.get(parameter.name) is parameter
    settings: dict[str, Any] = {"help": metadata["help"], "default": argparse.SUPPRESS}
    if is_hyperparameter:
        settings["help"] += f" ({default_values(parameter.name)})"
    if parameter.name == "corpus":
        container.add_argument(parameter.name, metavar=metadata["metavar"], nargs="?", **settings)
        return
    if kind is bool:
        settings["action"] = argparse.BooleanOptionalAction if is_hyperparameter else "store_true"
    elif kind is list:
        settings |= {"action": "extend", "nargs": "+", "metavar": metadata["metavar"]}
    elif "choices" in metadata:
        settings["metavar"] = metadata.get("metavar", f"{{{','.join(metadata['choices'])}}}")
    else:
        settings["type"] = lambda text: convert(kind, text)
        settings["metavar"] = metadata.get("metavar", "N" if kind is int else "X")
    long = f"--{option_name(metadata.get('option', parameter.name))}"
    names = [metadata["short"], long] if "short" in metadata else [long]
    container.add_argument(*names, dest=parameter.name, **settings)


def convert(kind: Callable[[str], Any], word: str) -> Any:
    """Return a word as a value of this kind, or unchanged if it is none. The check then refuses it."""
    try:
        return kind(word)
    except ValueError:
        return word


def default_values(name: str) -> str:
    """Return the default values of a hyperparameter in the presets and in the classic recipe."""
    # The classic recipe has constants of the same names, which are no options.
    is_classic = any(parameter.name == name for parameter in fields(ClassicRecipe))
    values = [format_value(getattr(recipe, name)) for recipe in PRESETS.values() if hasattr(recipe, name)]
    parts = []
    if values:
        parts.append(f"default: {values[0] if len(set(values)) == 1 else '/'.join(values)}")
    if is_classic:
        parts.append(f"{'classic' if values else 'default'}: {format_value(getattr(ClassicRecipe, name))}")
    return "; ".join(parts)


def check_resumable(folder: Path) -> None:
    """Raise TrainingError if a folder has no checkpoint."""
    if not (folder / CHECKPOINT_FILE).exists():
        raise TrainingError(
            f"nothing to resume: {shorten(str(folder))} has no {CHECKPOINT_FILE}; start a run with "
            "textgen-train CORPUS"
        )


def check_resume_usage(given: Mapping[str, Any]) -> None:
    """Check which arguments accompany ``--resume``."""
    others = [name for name in given if name not in ("resume", *TEXTS)]
    if others:
        # Otherwise the error would be about an option of a run that does not exist.
        check_resumable(given["resume"])
    for name in others:
        if name in ("output", "overwrite"):
            raise RecipeError(
                Name(name),
                " cannot be combined with ",
                Name("resume"),
                ", which continues in the folder of the run",
            )
        raise RecipeError(Name(name), " cannot be changed: ", Name("resume"), " uses the options of the run")
    check_standard_input(*map(given.get, TEXTS))


def check_usage(given: Mapping[str, Any]) -> None:
    """Check which arguments may be combined, also if they have their default values."""
    if "resume" in given:
        check_resume_usage(given)
        return
    if "corpus" not in given:
        # The option takes all words after it.
        takes_all = len(given.get("teachers", ())) > 1
        order = ("; ", Name("corpus"), " goes before ", Name("teachers")) if takes_all else ()
        raise RecipeError("a ", Name("corpus"), " is required, or ", Name("resume"), " FOLDER", *order)
    refused: dict[str, tuple[str, ...]] = {}
    if given.get("level") == BYTE:
        reason = (" cannot be combined with ", Name("level", BYTE), ": bytes stay unchanged")
        refused |= dict.fromkeys(TEXT_ARGUMENTS, reason)
    if "parent" in given:
        reason = (" cannot be combined with ", Name("parent"), ": the model determines it")
        refused |= dict.fromkeys(MODEL_ARGUMENTS, reason)
    for name in given:
        if name in refused:
            raise RecipeError(Name(name), *refused[name])
