"""Every number that shapes a training run, each with what it does."""

import math
from dataclasses import asdict, dataclass, field

from .errors import RecipeError

# What the learning rate is stated for; larger layers want a lower one.
REFERENCE_UNITS = 128


@dataclass(frozen=True)
class Recipe:
    """What is trained and how; the defaults are right for a minute or ten on two cores.

    They were chosen by one-minute runs on a book of 600,000 characters: 16 streams in slices of 64 learn
    more in a minute than 32 streams or slices of 32 or 48, although those read faster.
    """

    units: int = field(default=128, metadata={"help": "LSTM units a layer"})
    layers: int = field(default=1, metadata={"help": "LSTM layers"})
    embedding: int = field(default=32, metadata={"help": "numbers that stand for a character at the input"})
    dropout: float = field(
        default=0.0, metadata={"help": "share of each layer's outputs left out while training, in [0, 1)"}
    )
    batch: int = field(default=16, metadata={"help": "streams of text read side by side"})
    slice_length: int = field(
        default=64, metadata={"help": "characters read between two updates; gradients go back this far"}
    )
    learning_rate: float = field(
        default=0.012, metadata={"help": "highest learning rate for 128 units; falls with their square root"}
    )
    weight_decay: float = field(default=0.05, metadata={"help": "AdamW's weight decay"})
    clip: float = field(default=1.0, metadata={"help": "largest norm of a gradient"})
    warmup: int = field(default=100, metadata={"help": "updates until the learning rate is at its highest"})

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            RecipeError: If a number is out of its range.
        """
        for name, value in asdict(self).items():
            least = (
                0 if name in ("dropout", "weight_decay", "warmup") else 1 if isinstance(value, int) else None
            )
            if (least is None and value <= 0) or (least is not None and value < least):
                wanted = "above 0" if least is None else f"{least} or more"
                raise RecipeError(f"{name.replace('_', '-')} must be {wanted}, not {value}")
        if self.dropout >= 1:
            raise RecipeError(f"dropout must be below 1, not {self.dropout}")

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

    def progress(self, seconds: float, epochs: float) -> float:
        """How much is used up, in [0, 1]."""
        used = epochs / self.epochs if self.epochs is not None else seconds / (60 * (self.minutes or 0))
        return min(1.0, used)
