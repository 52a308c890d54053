"""Every number that shapes a training run, each with what it does."""

import math
from dataclasses import dataclass, field, fields
from typing import TypeVar

from .errors import RecipeError

# What the learning rate is stated for; larger layers want a lower one.
REFERENCE_UNITS = 128

Number = TypeVar("Number", int, float)


def _setting(default: Number, what: str, least: float, most: float) -> Number:
    """A field with its range and with what the command line says of it."""
    setting: Number = field(default=default, metadata={"help": what, "least": least, "most": most})
    return setting


@dataclass(frozen=True)
class Recipe:
    """What is trained and how; the defaults are right for a minute or ten on two cores.

    They were chosen by one-minute runs on a book of 600,000 characters: 16 streams in slices of 64 learn
    more in a minute than 32 streams or slices of 32 or 48, although those read faster.
    """

    units: int = _setting(128, "LSTM units a layer", 1, 16_384)
    layers: int = _setting(1, "LSTM layers", 1, 64)
    embedding: int = _setting(32, "numbers that stand for a character at the input", 1, 16_384)
    dropout: float = _setting(0.0, "share of each layer's outputs left out while training", 0, 0.99)
    batch: int = _setting(16, "streams of text read side by side, fewer if the text is short", 1, 65_536)
    slice_length: int = _setting(64, "characters between updates; gradients go back this far", 1, 65_536)
    learning_rate: float = _setting(
        0.012, "highest learning rate for 128 units; it falls with the square root of the units", 1e-9, 1e9
    )
    weight_decay: float = _setting(0.05, "AdamW's weight decay", 0, 1e3)
    clip: float = _setting(1.0, "largest norm of a gradient", 1e-9, 1e9)
    warmup: int = _setting(100, "updates until the learning rate is at its highest", 0, 2**31)

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            RecipeError: If a number is out of its range, or of another kind than its default.
        """
        for setting in fields(self):
            value = getattr(self, setting.name)
            least, most = setting.metadata["least"], setting.metadata["most"]
            whole = not isinstance(value, int) and setting.type is int
            if whole or not least <= value <= most:
                raise RecipeError(
                    f"{setting.name.replace('_', '-')} must be {'a whole number ' * (setting.type is int)}"
                    f"from {least:g} to {most:g}, not {value}"
                )

    def learning_rate_at(self, update: int, progress: float) -> float:
        """The learning rate of an update: a linear warm-up, then half a cosine down to nothing.

        Args:
            update: Its number, from 0.
            progress: How much of the budget is used up, in [0, 1]; the rate is 0 at 1, whatever the budget
                is counted in, so that every run ends annealed.
        """
        warm = min(1.0, (update + 1) / self.warmup) if self.warmup else 1.0
        highest = self.learning_rate * math.sqrt(REFERENCE_UNITS / self.units)
        return highest * warm * 0.5 * (1.0 + math.cos(math.pi * progress))


@dataclass(frozen=True)
class Budget:
    """How long to train: minutes of time, or passes over the training text; exactly one of them."""

    minutes: float | None = None
    epochs: int | None = None

    def __post_init__(self) -> None:
        if (self.minutes is None) == (self.epochs is None):
            raise ValueError("a budget is either minutes or epochs")
        if not (self.minutes or self.epochs or 0) > 0:
            raise ValueError("a budget must be above 0")

    def progress(self, seconds: float, epochs: float) -> float:
        """How much is used up, in [0, 1]."""
        used = epochs / self.epochs if self.epochs is not None else seconds / (60 * (self.minutes or 1))
        return min(1.0, used)
