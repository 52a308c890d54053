"""Hyperparameters of a recipe: dataclass fields with a range and a help text."""

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


@dataclass(frozen=True)
class Hyperparameters:
    """Base class of the recipes. Every field is a ``hyperparameter``."""

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            RecipeError: If a value is out of its range, or if the field is an int and the value is not.
        """
        for parameter in fields(self):
            value = getattr(self, parameter.name)
            minimum, maximum = parameter.metadata["minimum"], parameter.metadata["maximum"]
            is_wrong_type = not isinstance(value, int) and parameter.type is int
            if is_wrong_type or not minimum <= value <= maximum:
                raise RecipeError(
                    f"{option_name(parameter.name)} must be {'an integer ' * (parameter.type is int)}"
                    f"from {minimum:g} to {maximum:g}, not {quote(value)}"
                )


def option_name(name: str) -> str:
    """Return the command-line name of a hyperparameter, without the leading dashes."""
    return name.replace("_", "-")
