"""The options of the recipe and the budget, and their values."""

import argparse
from collections.abc import Iterable
from dataclasses import fields, replace

from textgen_runtime.cli.parser import CommandParser, number, whole_number
from textgen_runtime.errors import Name
from textgen_runtime.text.levels import CHARACTER

from textgen_train.data.dataset import Dataset
from textgen_train.errors import RecipeError
from textgen_train.hyperparameters import format_value, option_name
from textgen_train.presets import LARGE_VOCABULARY, PRESETS, preset
from textgen_train.recipe import CONV, AnyRecipe, Budget, ClassicRecipe, Recipe

DEFAULT_MINUTES = 5.0
DEFAULT_PRESET = "small"
RECIPES = (ClassicRecipe, Recipe)

# The textbook trains for 60 epochs.
CLASSIC_EPOCHS = 60

# A year.
MAX_MINUTES = 525_600.0

# The hyperparameters that the help lists under "network". It lists all others under "optimization".
NETWORK = ("cell", "units", "layers", "residual", "embedding", "dropout", "input_dropout", "weight_dropout")


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


def add_recipe(command: CommandParser) -> None:
    """Add the choice of a preset or the classic recipe."""
    group = command.add_argument_group(
        "recipe",
        "A preset or the classic recipe sets the default values of the options below.\n"
        f"Three values such as 88/176/512 are the defaults of {'/'.join(PRESETS)}.\n"
        f"Some defaults differ with a vocabulary of {LARGE_VOCABULARY} symbols or more, and in runs\n"
        "of few or many epochs; the run prints them.",
    )
    choice = group.add_mutually_exclusive_group()
    choice.add_argument(
        "--preset",
        choices=PRESETS,
        help="network size, learning rates and regularization: small for 1 to 10 minutes, medium for 30, "
        f"large for 60 (default: {DEFAULT_PRESET})",
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
        "Another cell than lstm has other default sizes, for about as many parameters.\n"
        "With --preset large, it also has the learning rate, the weight decay and the\n"
        "penalties of the smaller presets.",
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


def recipe_from(
    arguments: argparse.Namespace, dataset: Dataset | None = None, epochs: float | None = None
) -> AnyRecipe:
    """Return the recipe of the command line: a preset, or the classic recipe, with the given overrides.

    Args:
        arguments: The parsed arguments.
        dataset: The corpus, on whose vocabulary and length the presets depend; None if it is not known.
        epochs: The number of epochs that the run is expected to have; None if it is not known.

    Raises:
        RecipeError: If a hyperparameter is out of range, has no effect, or is not part of the recipe.
    """
    _, base = usual_recipe(arguments, dataset, epochs)
    names = {parameter.name for parameter in fields(base)}
    overrides = {
        parameter.name: value
        for recipe in RECIPES
        for parameter in fields(recipe)
        if (value := getattr(arguments, parameter.name)) is not None
    }
    for name in overrides:
        if name not in names:
            raise RecipeError(f"is not an option of the {base.name} recipe", parameter=name)
    if isinstance(base, ClassicRecipe) and arguments.records is not None:
        raise RecipeError(
            "is not an option of the classic recipe, which trains on one text", parameter="records"
        )
    if isinstance(base, ClassicRecipe) and arguments.level != CHARACTER:
        raise RecipeError(
            "is not an option of the classic recipe, which trains on characters", parameter="level"
        )
    recipe = replace(base, **overrides)
    if isinstance(recipe, Recipe) and not recipe.muon_lr and "muon_weight_decay" in overrides:
        raise RecipeError(
            "has no effect while ",
            Name("muon_lr"),
            " is 0: pass ",
            Name("muon_lr"),
            " too",
            parameter="muon_weight_decay",
        )
    if isinstance(recipe, Recipe) and overrides.get("residual") and recipe.layers == 1:
        raise RecipeError(
            "has no effect on a single layer: pass ", Name("layers"), " too", parameter="residual"
        )
    if arguments.quantize and isinstance(recipe, Recipe) and recipe.cell == CONV:
        raise RecipeError("is only for the cells lstm and gru, not for conv", parameter="quantize")
    return recipe


def usual_recipe(
    arguments: argparse.Namespace, dataset: Dataset | None, epochs: float | None
) -> tuple[str, AnyRecipe]:
    """Return the name and the values of the preset or classic recipe, without overrides."""
    if arguments.recipe:
        return "classic recipe", ClassicRecipe()
    name = arguments.preset or DEFAULT_PRESET
    cell = arguments.cell or Recipe.cell
    if dataset is None:
        return f"preset {name}", preset(name, 0, cell=cell)
    size, training_tokens = len(dataset.tokenizer), len(dataset.training)
    return f"preset {name}", preset(name, size, cell=cell, epochs=epochs, training_tokens=training_tokens)


def budget_from(arguments: argparse.Namespace) -> Budget:
    """Return the budget of the command line."""
    if arguments.minutes is not None:
        return Budget(minutes=arguments.minutes)
    if arguments.epochs is None and arguments.recipe:
        return Budget(epochs=CLASSIC_EPOCHS)
    return Budget(minutes=DEFAULT_MINUTES) if arguments.epochs is None else Budget(epochs=arguments.epochs)
