"""Recipes: the hyperparameters of a training run, and its budget."""

import math
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

from textgen_runtime.errors import Name

from .errors import RecipeError
from .parameters import Parameters, Range, choice, flag, number

# The kinds of layers, by their names in ``models.cells``. Importing that module would import torch.
LSTM, GRU, CONV = CELLS = ("lstm", "gru", "conv")

# Each convolution has a state array, and a graph in the C core has at most 64 inputs.
MAX_CONV_LAYERS = 63

# Training gets at least this fraction of a budget of minutes, even if the last evaluation then ends after it.
MIN_TRAINING_SHARE = 0.5


@dataclass(frozen=True)
class Recipe(Parameters):
    """Hyperparameters of the default recipe: a network that is trained by Muon and AdamW.

    Learning rates are for 128 units; the trainer multiplies them by ``sqrt(128 / units)``. The default values
    describe a small network without dropout. They suit tests and short runs. ``PRESETS`` holds the
    recommended values, and ``preset`` chooses among them; ``docs/results.md`` describes how.
    """

    name: ClassVar[str] = "default"

    cell: str = choice(
        LSTM, "kind of layers; conv stands for causal dilated convolutions", CELLS, group="network"
    )
    units: int = number(144, "units per layer", Range(1, 16_384), group="network")
    layers: int = number(1, "number of layers, at most 63 with --cell conv", Range(1, 64), group="network")
    residual: bool = flag("in each layer but the first, add the input to the output", group="network")
    embedding: int = number(16, "size of the character embedding", Range(1, 16_384), group="network")
    dropout: float = number(0.0, "dropout on the outputs of each layer", Range(0, 0.99), group="network")
    input_dropout: float = number(0.0, "dropout on the embedding", Range(0, 0.99), group="network")
    weight_dropout: float = number(
        0.0, "DropConnect on the recurrent weights of an LSTM or a GRU", Range(0, 0.99), group="network"
    )
    batch: int = number(32, "sequences per batch; a short text gives fewer", Range(1, 65_536))
    sequence_length: int = number(
        64, "characters per training sequence (truncated backpropagation)", Range(1, 65_536)
    )
    muon_lr: float = number(0.02, "peak learning rate of Muon, or 0 to use only AdamW", Range(0, 1e9))
    muon_weight_decay: float = number(0.05, "weight decay of Muon", Range(0, 1e3))
    learning_rate: float = number(0.012, "peak learning rate of AdamW", Range(1e-9, 1e9))
    weight_decay: float = number(0.05, "weight decay of AdamW", Range(0, 1e3))
    activation_penalty: float = number(
        0.0,
        "reduce overfitting: add X times the mean square of the last layer's outputs to the loss",
        Range(0, 1e3),
    )
    confidence_penalty: float = number(
        0.0,
        "reduce overconfidence: subtract X times the entropy of the predictions from the loss",
        Range(0, 10),
    )
    grad_clip: float = number(1.0, "maximum norm of the gradient", Range(1e-9, 1e9))
    warmup: int = number(100, "number of warm-up updates, at most a tenth of the run", Range(0, 2**31))

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.cell == CONV and self.weight_dropout:
            raise RecipeError(
                Name("weight_dropout"), f" must be 0 with the cell {CONV}: it has no recurrent weights"
            )
        if self.cell == CONV and self.layers > MAX_CONV_LAYERS:
            raise RecipeError(
                Name("layers"), f" must be at most {MAX_CONV_LAYERS} with the cell {CONV}, not {self.layers}"
            )


@dataclass(frozen=True)
class ClassicRecipe(Parameters):
    """Hyperparameters of the classic recipe, the textbook's experiment: an LSTM layer with one-hot input.

    It learns the character after each window, from a zero state, by RMSprop.
    """

    name: ClassVar[str] = "classic"
    # It has neither penalties nor a limit of the gradient.
    activation_penalty: ClassVar[float] = 0.0
    confidence_penalty: ClassVar[float] = 0.0
    grad_clip: ClassVar[float] = math.inf

    units: int = number(128, "LSTM units", Range(1, 16_384))
    window: int = number(60, "window length in characters", Range(1, 65_536), group="classic recipe only")
    window_step: int = number(
        3,
        "distance in characters between the starts of two windows",
        Range(1, 65_536),
        group="classic recipe only",
    )
    batch: int = number(128, "windows per batch", Range(1, 65_536))
    learning_rate: float = number(0.01, "learning rate of RMSprop, constant", Range(1e-9, 1e9))


AnyRecipe: TypeAlias = Recipe | ClassicRecipe


@dataclass(frozen=True)
class Budget:
    """The length of a training run, in minutes or in epochs.

    Attributes:
        minutes: Wall-clock time, evaluations included.
        epochs: Passes over the training text.

    Raises:
        ValueError: If both or neither are given, or if the length is not above 0.
    """

    minutes: float | None = None
    epochs: int | None = None

    def __post_init__(self) -> None:
        if (self.minutes is None) == (self.epochs is None):
            raise ValueError("pass either minutes or epochs")
        if not (self.minutes or self.epochs or 0) > 0:
            raise ValueError(
                f"the length of a budget must be above 0, not {self.minutes or self.epochs or 0}"
            )

    def progress(self, seconds: float, epochs: float, reserved: float = 0.0) -> float:
        """Return the share of the budget that is used up, in [0, 1].

        Args:
            seconds: Time since training began.
            epochs: Passes over the training text so far.
            reserved: Seconds of a budget of minutes that are reserved for the last evaluation.
        """
        if self.epochs is not None:
            return min(1.0, epochs / self.epochs)
        return min(1.0, seconds / self.training_seconds(reserved))

    def training_seconds(self, reserved: float) -> float:
        """Return the training time of a budget of minutes, in seconds.

        This is the budget minus ``reserved`` seconds, but at least half of the budget.
        """
        total = 60 * (self.minutes or 1)
        return max(total - reserved, MIN_TRAINING_SHARE * total)
