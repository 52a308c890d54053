"""The default recipe: every number that shapes a training run, each with what it does, and the presets."""

from dataclasses import dataclass, replace
from typing import ClassVar, TypeAlias

from .settings import Settings, setting

# A share of a budget of minutes, however long its evaluations take: an untrained model is no use.
MIN_TRAINING_SHARE = 0.1


@dataclass(frozen=True)
class Recipe(Settings):
    """What is trained and how; ``docs/experiments.md`` tells how the numbers of the presets were found.

    Learning rates are stated for 128 units and divided by the square root of their multiple. The defaults are
    those of a small network that leaves nothing out while training, which is right for tests and short runs;
    ``PRESETS`` has what to train with.
    """

    name: ClassVar[str] = "default"

    units: int = setting(144, "LSTM units a layer", 1, 16_384)
    layers: int = setting(1, "LSTM layers", 1, 64)
    embedding: int = setting(16, "numbers that stand for a character at the input", 1, 16_384)
    dropout: float = setting(0.0, "share of each layer's outputs left out while training", 0, 0.99)
    input_dropout: float = setting(0.0, "share of the embedding's outputs left out while training", 0, 0.99)
    weight_dropout: float = setting(0.0, "share of the recurrent weights left out of each update", 0, 0.99)
    batch: int = setting(32, "streams of text read side by side, fewer if the text is short", 1, 65_536)
    sequence_length: int = setting(64, "characters between updates; gradients go back this far", 1, 65_536)
    muon_lr: float = setting(
        0.02,
        "highest learning rate of Muon, for the LSTM's matrices, for 128 units; with 0 AdamW trains them too",
        0,
        1e9,
    )
    muon_weight_decay: float = setting(0.05, "Muon's weight decay", 0, 1e3)
    learning_rate: float = setting(
        0.012, "highest learning rate of AdamW, for all other weights, stated for 128 units", 1e-9, 1e9
    )
    weight_decay: float = setting(0.05, "AdamW's weight decay", 0, 1e3)
    grad_clip: float = setting(1.0, "largest norm of a gradient", 1e-9, 1e9)
    warmup: int = setting(
        100, "updates until the learning rates are at their highest, a tenth of the run at most", 0, 2**31
    )


PRESETS = {
    "small": Recipe(dropout=0.1, weight_dropout=0.1),
    "medium": Recipe(units=256, embedding=32, dropout=0.3, input_dropout=0.1, weight_dropout=0.3),
    "large": Recipe(
        units=512, layers=2, embedding=64, dropout=0.4, input_dropout=0.1, weight_dropout=0.3, muon_lr=0.0
    ),
}


# A vocabulary of at least this size is a large one: Chinese, Japanese, emoji.
LARGE_VOCABULARY = 500

# The presets for a large vocabulary. Its characters need a larger embedding. Most of them are rare, so that
# many small updates learn more than few large ones.
PRESETS_FOR_LARGE_VOCABULARY = {
    "small": replace(PRESETS["small"], embedding=64, batch=16, sequence_length=32),
    "medium": replace(PRESETS["medium"], embedding=64, batch=16, sequence_length=32),
    "large": replace(PRESETS["large"], embedding=128, batch=16, sequence_length=32),
}


# A run of the small preset that is as long as this overfits on a vocabulary of so rare characters, and takes
# more dropout. In two minutes that would cost more than it gains.
LONG_RUN_MINUTES, LONG_RUN_EPOCHS = 5.0, 15
LONG_RUN = replace(PRESETS_FOR_LARGE_VOCABULARY["small"], dropout=0.2, input_dropout=0.15, weight_dropout=0.2)


def preset(name: str, vocabulary_size: int, budget: "Budget | None" = None) -> Recipe:
    """A preset for a vocabulary of this size.

    Args:
        name: One of ``PRESETS``.
        vocabulary_size: How many symbols the corpus has.
        budget: How long the run will be, if that is known.
    """
    if vocabulary_size < LARGE_VOCABULARY:
        return PRESETS[name]
    minutes, epochs = (budget.minutes, budget.epochs) if budget else (None, None)
    if name == "small" and ((minutes or 0) >= LONG_RUN_MINUTES or (epochs or 0) >= LONG_RUN_EPOCHS):
        return LONG_RUN
    return PRESETS_FOR_LARGE_VOCABULARY[name]


@dataclass(frozen=True)
class ClassicRecipe(Settings):
    """The textbook's experiment, as ``classic`` tells it."""

    name: ClassVar[str] = "classic"

    units: int = setting(128, "LSTM units", 1, 16_384)
    window: int = setting(60, "characters read to predict one", 1, 65_536)
    window_step: int = setting(3, "characters from one window to the next", 1, 65_536)
    batch: int = setting(128, "windows between updates", 1, 65_536)
    learning_rate: float = setting(0.01, "RMSprop's learning rate, constant", 1e-9, 1e9)


AnyRecipe: TypeAlias = Recipe | ClassicRecipe


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

    def progress(self, seconds: float, epochs: float, reserved: float = 0.0) -> float:
        """How much is used up, in [0, 1].

        Args:
            seconds: Since training began.
            epochs: Passes so far.
            reserved: Seconds of a budget of minutes that are kept for what comes after training.
        """
        if self.epochs is not None:
            return min(1.0, epochs / self.epochs)
        return min(1.0, seconds / self.training_seconds(reserved))

    def training_seconds(self, reserved: float) -> float:
        """What is left of a budget of minutes when some seconds of it are kept: a tenth of it at least."""
        whole = 60 * (self.minutes or 1)
        return max(whole - reserved, MIN_TRAINING_SHARE * whole)
