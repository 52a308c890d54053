"""Hyperparameters of a recipe: dataclass fields with a range, choices or a flag, and a help text."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import TypeVar

from textgen_runtime.errors import quote

from .errors import RecipeError

Number = TypeVar("Number", int, float)


def hyperparameter(default: Number, help_text: str, minimum: float, maximum: float) -> Number:
    """Return a dataclass field whose metadata holds its range and its help text for the command line."""
    metadata = {"help": help_text, "minimum": minimum, "maximum": maximum}
    result: Number = field(default=default, metadata=metadata)
    return result


def choice(default: str, help_text: str, choices: Sequence[str]) -> str:
    """Return a dataclass field whose metadata holds its values and its help text for the command line."""
    result: str = field(default=default, metadata={"help": help_text, "choices": tuple(choices)})
    return result


def flag(help_text: str) -> bool:
    """Return a boolean dataclass field, False by default, with its help text for the command line."""
    result: bool = field(default=False, metadata={"help": help_text})
    return result


@dataclass(frozen=True)
class Hyperparameters:
    """Base class of the recipes. Every field is a ``hyperparameter``, a ``choice`` or a ``flag``."""

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            RecipeError: If a value is out of its range or not one of its choices, or if it is of the wrong
                type.
        """
        for parameter in fields(self):
            value, metadata = getattr(self, parameter.name), parameter.metadata
            if parameter.type is bool:
                is_valid, expected = isinstance(value, bool), "true or false"
            elif parameter.type is str:
                choices = metadata["choices"]
                is_valid, expected = value in choices, f"one of {', '.join(choices)}"
            else:
                minimum, maximum = metadata["minimum"], metadata["maximum"]
                is_wrong_type = not isinstance(value, int) and parameter.type is int
                is_valid = not is_wrong_type and minimum <= value <= maximum
                expected = f"{'an integer ' * (parameter.type is int)}from {minimum:g} to {maximum:g}"
            if not is_valid:
                raise RecipeError(f"must be {expected}, not {quote(value)}", parameter=parameter.name)


def option_name(name: str) -> str:
    """Return the command-line name of a hyperparameter, without the leading dashes."""
    return name.replace("_", "-")


def format_value(value: float | str) -> str:
    """Return the value of a hyperparameter, as it is written on the command line."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)
