"""The arguments of ``textgen-train``."""

import argparse
from collections.abc import Iterable
from dataclasses import fields, replace
from pathlib import Path

from textgen_runtime.cli.parser import MAX_THREADS, CommandParser, number, whole_number
from textgen_runtime.corpora.corpus import CORPUS_NAMES
from textgen_runtime.system.text_files import STANDARD_INPUT
from textgen_runtime.text.levels import BYTE, CHARACTER, LEVELS, WORD
from textgen_runtime.text.normalization import UNICODE_FORMS
from textgen_runtime.text.records import RECORD_KINDS

from textgen_train.data.dataset import HELD_OUT_SHARE, MAX_HELD_OUT_CHARACTERS
from textgen_train.data.vocabularies import VOCABULARY_SIZE
from textgen_train.errors import RecipeError
from textgen_train.hyperparameters import format_value, option_name
from textgen_train.recipe import LARGE_VOCABULARY, PRESETS, AnyRecipe, Budget, ClassicRecipe, Recipe, preset

PROG = "textgen-train"

DEFAULT_MINUTES = 5.0
DEFAULT_PRESET = "small"
RECIPES = (ClassicRecipe, Recipe)

# The textbook trains for 60 epochs.
CLASSIC_EPOCHS = 60
DEVICES = ("auto", "cpu", "cuda", "mps")

# The arguments that may accompany --resume, besides itself.
RESUME_ARGUMENTS = ("resume", "corpus", "held_out_file")

# The arguments that cannot accompany --from, because the model determines them.
MODEL_ARGUMENTS = (
    *("cell", "units", "layers", "residual", "embedding"),
    *("level", "vocabulary_size", "records", "lowercase", "unicode", "min_count", "recipe"),
)

# The arguments that cannot accompany --level byte, because bytes are not changed.
TEXT_ARGUMENTS = ("lowercase", "unicode", "min_count")

# A year.
MAX_MINUTES = 525_600.0

# The hyperparameters that the help lists under "network". It lists all others under "optimization".
NETWORK = ("cell", "units", "layers", "residual", "embedding", "dropout", "input_dropout", "weight_dropout")

EXAMPLES = """\
examples:
  textgen-train python-docs --minutes 1
  textgen-train nietzsche --lowercase --epochs 20 -o my-nietzsche
  textgen-train my-novel.txt --preset large --minutes 60
  textgen-train nietzsche --lowercase --cell gru --layers 2 --residual
  textgen-train nietzsche --recipe classic --epochs 10
  textgen-train my-novel.txt --from nietzsche --extend
  textgen-train my-novel.txt --level word --vocabulary-size 8000
  cat *.abc | textgen-train - -o tunes
  textgen-train --resume tunes
"""


def parser() -> CommandParser:
    """Return the argument parser of the command."""
    command = CommandParser(PROG, "Train a character-level model on a text and export it to ONNX.", EXAMPLES)
    command.usage = "%(prog)s CORPUS [OPTIONS] | [CORPUS] --resume FOLDER"
    add_corpus(command)
    add_parent(command)
    add_budget(command)
    add_hardware(command)
    add_recipe(command)
    add_hyperparameters(command)
    add_output(command)
    add_resume(command)
    return command


def add_corpus(command: CommandParser) -> None:
    """Add the corpus, its normalization and its held-out part."""
    group = command.add_argument_group("corpus")
    group.add_argument(
        "corpus",
        metavar="CORPUS",
        nargs="?",
        help="a UTF-8 file, or any file with --level byte, which may be compressed (.gz, .zst), a folder "
        f"with .txt files, - for standard input, or the name of a corpus: {', '.join(CORPUS_NAMES)}",
    )
    group.add_argument(
        "--level",
        choices=LEVELS,
        default=CHARACTER,
        help="what the model predicts: characters; the bytes of any file; or words, and the characters of "
        "rare words (default: character)",
    )
    group.add_argument(
        "--vocabulary-size",
        metavar="N",
        type=whole_number(2),
        help="maximum number of symbols with --level word: all characters of the text, and its most frequent "
        f"words (default: {VOCABULARY_SIZE})",
    )
    group.add_argument("--lowercase", action="store_true", help="convert the text to lower case")
    group.add_argument(
        "--unicode",
        metavar="FORM",
        choices=(*UNICODE_FORMS, "none"),
        default="NFC",
        help="Unicode normal form: NFC, NFD, NFKC, NFKD or none (default: NFC)",
    )
    group.add_argument(
        "--min-count",
        metavar="N",
        type=whole_number(1),
        default=1,
        help="replace all characters that occur fewer than N times in the training text by one unknown "
        "symbol; losses with different N are not comparable (default: 1, which keeps all characters)",
    )
    group.add_argument(
        "--records",
        choices=RECORD_KINDS,
        help="train on records, each of which is a text of its own: lines, such as names or molecules, or "
        "texts between blank lines, such as tunes; the held-out part is drawn from all of them "
        "(default: one continuous text)",
    )
    held_out = group.add_mutually_exclusive_group()
    held_out.add_argument(
        "--held-out",
        metavar="SHARE",
        type=number("a number above 0 and below 1", lambda value: 0 < value < 1),
        help="hold out the last SHARE of the text, or a random SHARE of the records (default: "
        f"{HELD_OUT_SHARE}, at most {MAX_HELD_OUT_CHARACTERS:,} characters)",
    )
    held_out.add_argument(
        "--held-out-file",
        metavar="TEXT",
        help="hold out a separate text instead: a file, a folder, - or the name of a corpus",
    )


def add_parent(command: CommandParser) -> None:
    """Add the model from which the run starts."""
    group = command.add_argument_group("fine-tuning")
    group.add_argument(
        "--from",
        metavar="MODEL",
        help="start from the weights of a model instead of random ones: a model file, a folder with "
        "model.onnx, or the name of a bundled model; it determines the network, the vocabulary and the "
        "normalization, and the preset is the one with the nearest network",
    )
    group.add_argument(
        "--extend",
        action="store_true",
        help="add the symbols of the corpus that the model does not know to its vocabulary",
    )


def add_budget(command: CommandParser) -> None:
    """Add the length of the run."""
    group = command.add_argument_group("budget")
    length = group.add_mutually_exclusive_group()
    length.add_argument(
        "--minutes",
        metavar="X",
        type=number(f"a number above 0 and at most {MAX_MINUTES:g}", lambda value: 0 < value <= MAX_MINUTES),
        help=f"duration of the run in minutes, including evaluations (default: {DEFAULT_MINUTES:g})",
    )
    length.add_argument(
        "--epochs",
        metavar="N",
        type=whole_number(1),
        help="number of passes over the training text, instead of --minutes (default: none; classic: "
        f"{CLASSIC_EPOCHS})",
    )


def add_hardware(command: CommandParser) -> None:
    """Add the device and the number of threads."""
    group = command.add_argument_group(
        "hardware", "torchrun -m textgen_train CORPUS [OPTIONS] trains in several processes."
    )
    group.add_argument(
        "--device",
        choices=DEVICES,
        default="auto",
        help="where the network is trained: auto is a GPU with cuda or mps if there is one, else cpu "
        "(default: auto)",
    )
    group.add_argument(
        "--threads",
        metavar="N",
        type=whole_number(1, MAX_THREADS),
        help="maximum number of threads of a process, for training and evaluation (default: one per "
        "available processor)",
    )


def add_recipe(command: CommandParser) -> None:
    """Add the choice of a preset or the classic recipe."""
    group = command.add_argument_group(
        "recipe",
        "A preset or the classic recipe sets the default values of the options below.\n"
        f"Three values such as 144/256/512 are the defaults of {'/'.join(PRESETS)}.\n"
        f"With a vocabulary of {LARGE_VOCABULARY} symbols or more, some defaults differ; the run prints\n"
        "them.",
    )
    choice = group.add_mutually_exclusive_group()
    choice.add_argument(
        "--preset",
        choices=PRESETS,
        help="network size and dropout: small for 1 to 10 minutes, medium for 30, large for 60 (default: "
        f"{DEFAULT_PRESET})",
    )
    choice.add_argument(
        "--recipe",
        choices=[ClassicRecipe.name],
        help="repeat the experiment of F. Chollet's textbook: lower case, windows of 60 characters, one-hot "
        "input, RMSprop",
    )


def add_hyperparameters(command: CommandParser) -> None:
    """Add one option for each hyperparameter of the recipes."""
    names = [parameter.name for parameter in fields(Recipe)]
    network = command.add_argument_group(
        "network",
        "Another cell than lstm has other default sizes, for about as many parameters.",
    )
    add_options(network, NETWORK)
    optimization = command.add_argument_group(
        "optimization",
        "Muon trains the matrices of the layers; AdamW trains all other parameters. Their\n"
        "learning rates are scaled by sqrt(128 / units) and anneal to 0 over the run.\n"
        "The classic recipe uses RMSprop with a constant learning rate, and batches\n"
        "of windows.",
    )
    add_options(optimization, [name for name in names if name not in NETWORK])
    optimization.add_argument(
        "--seed",
        metavar="N",
        type=whole_number(0),
        default=0,
        help="random seed of the weights, batches, dropout and samples (default: 0)",
    )
    classic = command.add_argument_group("classic recipe only")
    add_options(classic, [field.name for field in fields(ClassicRecipe) if field.name not in names])


def add_options(group: argparse._ArgumentGroup, names: Iterable[str]) -> None:
    """Add the options of some hyperparameters to a group."""
    parameters = {parameter.name: parameter for recipe in RECIPES for parameter in fields(recipe)}
    for name in names:
        parameter = parameters[name]
        option = f"--{option_name(name)}"
        help_text = f"{parameter.metadata['help']} ({default_values(name)})"
        if parameter.type is bool:
            group.add_argument(option, action=argparse.BooleanOptionalAction, help=help_text)
        elif parameter.type is str:
            group.add_argument(option, choices=parameter.metadata["choices"], help=help_text)
        else:
            is_integer = parameter.type is int
            group.add_argument(
                option,
                metavar="N" if is_integer else "X",
                type=whole_number(0) if is_integer else number("a finite number"),
                help=help_text,
            )


def default_values(name: str) -> str:
    """Return the default values of a hyperparameter in the presets and in the classic recipe."""
    values = [format_value(getattr(recipe, name)) for recipe in PRESETS.values() if hasattr(recipe, name)]
    parts = []
    if values:
        parts.append(f"default: {values[0] if len(set(values)) == 1 else '/'.join(values)}")
    if hasattr(ClassicRecipe, name):
        parts.append(f"{'classic' if values else 'default'}: {format_value(getattr(ClassicRecipe, name))}")
    return "; ".join(parts)


def add_output(command: CommandParser) -> None:
    """Add the options of the output folder."""
    group = command.add_argument_group("output")
    group.add_argument(
        "-o",
        "--output",
        metavar="PATH",
        type=Path,
        help="output folder (default: CORPUS-model, without the file extension)",
    )
    group.add_argument(
        "--overwrite", action="store_true", help="replace the files of an earlier run in the output folder"
    )
    group.add_argument("--no-samples", action="store_true", help="do not generate samples at the evaluations")
    group.add_argument(
        "--tensorboard",
        action="store_true",
        help="also write losses, learning rate, speed and samples for TensorBoard, to the folder tensorboard "
        "in the output folder; requires the package tensorboard",
    )


def add_resume(command: CommandParser) -> None:
    """Add the option that resumes a run."""
    group = command.add_argument_group("resume")
    group.add_argument(
        "--resume",
        metavar="FOLDER",
        type=Path,
        help="resume the run in this output folder where it stopped, with its options; pass CORPUS and "
        "--held-out-file only if the texts have moved or were standard input",
    )


def check_usage(command: CommandParser, arguments: argparse.Namespace) -> None:
    """Check which arguments may be combined. Wrong usage ends the process."""
    if arguments.corpus == arguments.held_out_file == STANDARD_INPUT:
        command.error(f"standard input ({STANDARD_INPUT}) can be read only once")
    if arguments.resume is None:
        if arguments.corpus is None:
            command.error("a CORPUS is required, or --resume FOLDER")
        check_level_usage(command, arguments)
        check_parent_usage(command, arguments)
        return
    for name, value in vars(arguments).items():
        if name not in RESUME_ARGUMENTS and value != command.get_default(name):
            command.error(f"--{option_name(name)} cannot be changed: --resume uses the options of the run")


def check_level_usage(command: CommandParser, arguments: argparse.Namespace) -> None:
    """Check which arguments may accompany ``--level``. Wrong usage ends the process."""
    if arguments.vocabulary_size is not None and arguments.level != WORD:
        command.error("--vocabulary-size requires --level word")
    if arguments.level == BYTE:
        for name in TEXT_ARGUMENTS:
            if getattr(arguments, name) != command.get_default(name):
                command.error(
                    f"--{option_name(name)} cannot be combined with --level byte: bytes stay unchanged"
                )


def check_parent_usage(command: CommandParser, arguments: argparse.Namespace) -> None:
    """Check which arguments may accompany ``--from``. Wrong usage ends the process."""
    if parent_source(arguments) is None:
        if arguments.extend:
            command.error("--extend requires --from MODEL")
        return
    for name in MODEL_ARGUMENTS:
        if getattr(arguments, name) != command.get_default(name):
            command.error(f"--{option_name(name)} cannot be combined with --from: the model determines it")


def parent_source(arguments: argparse.Namespace) -> str | None:
    """Return the value of ``--from``, which is a keyword of Python."""
    source: str | None = vars(arguments)["from"]
    return source


def recipe_from(arguments: argparse.Namespace, vocabulary_size: int = 0) -> AnyRecipe:
    """Return the recipe of the command line: a preset, or the classic recipe, with the given overrides.

    Args:
        arguments: The parsed arguments.
        vocabulary_size: Number of symbols of the corpus, on which the presets depend; 0 if unknown.

    Raises:
        RecipeError: If a hyperparameter is out of range, has no effect, or is not part of the recipe.
    """
    _, base = usual_recipe(arguments, vocabulary_size)
    names = {parameter.name for parameter in fields(base)}
    overrides = {
        parameter.name: value
        for recipe in RECIPES
        for parameter in fields(recipe)
        if (value := getattr(arguments, parameter.name)) is not None
    }
    for name in overrides:
        if name not in names:
            raise RecipeError(f"--{option_name(name)} is not an option of the {base.name} recipe")
    if isinstance(base, ClassicRecipe) and arguments.records is not None:
        raise RecipeError("--records is not an option of the classic recipe, which trains on one text")
    if isinstance(base, ClassicRecipe) and arguments.level != CHARACTER:
        raise RecipeError("--level is not an option of the classic recipe, which trains on characters")
    recipe = replace(base, **overrides)
    if isinstance(recipe, Recipe) and not recipe.muon_lr and "muon_weight_decay" in overrides:
        raise RecipeError("--muon-weight-decay has no effect while muon-lr is 0: pass --muon-lr too")
    if isinstance(recipe, Recipe) and overrides.get("residual") and recipe.layers == 1:
        raise RecipeError("--residual has no effect on a single layer: pass --layers too")
    return recipe


def usual_recipe(arguments: argparse.Namespace, vocabulary_size: int = 0) -> tuple[str, AnyRecipe]:
    """Return the name and the values of the preset or classic recipe, without overrides."""
    if arguments.recipe:
        return "classic recipe", ClassicRecipe()
    name = arguments.preset or DEFAULT_PRESET
    cell = arguments.cell or Recipe.cell
    return f"preset {name}", preset(name, vocabulary_size, budget_from(arguments), cell)


def budget_from(arguments: argparse.Namespace) -> Budget:
    """Return the budget of the command line."""
    if arguments.minutes is not None:
        return Budget(minutes=arguments.minutes)
    if arguments.epochs is None and arguments.recipe:
        return Budget(epochs=CLASSIC_EPOCHS)
    return Budget(minutes=DEFAULT_MINUTES) if arguments.epochs is None else Budget(epochs=arguments.epochs)
