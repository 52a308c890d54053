"""Numbers that shape a training run: a recipe is a frozen dataclass of them, each with its range."""

from dataclasses import dataclass, field, fields
from typing import TypeVar

from textgen_runtime.errors import quote

from .errors import RecipeError

Number = TypeVar("Number", int, float)


def setting(default: Number, what: str, least: float, most: float) -> Number:
    """A field with its range and with what the command line says of it."""
    made: Number = field(default=default, metadata={"help": what, "least": least, "most": most})
    return made


@dataclass(frozen=True)
class Settings:
    """Base of the recipes: every field is a ``setting``."""

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            RecipeError: If a number is out of its range, or of another kind than its default.
        """
        for number in fields(self):
            value = getattr(self, number.name)
            least, most = number.metadata["least"], number.metadata["most"]
            fractional = not isinstance(value, int) and number.type is int
            if fractional or not least <= value <= most:
                raise RecipeError(
                    f"{option(number.name)} must be {'a whole number ' * (number.type is int)}"
                    f"from {least:g} to {most:g}, not {quote(value)}"
                )


def option(name: str) -> str:
    """What a setting is called on the command line, without the dashes in front."""
    return name.replace("_", "-")
