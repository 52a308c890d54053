"""Presets: the recommended hyperparameters for a time, a corpus, a budget and a cell.

``CHOICES`` is the table of the presets for an LSTM. ``docs/results.md`` has the measurements behind it.
"""

import math
from dataclasses import replace
from typing import Any, NamedTuple

from .recipe import CONV, GRU, LSTM, Recipe


class Choice(NamedTuple):
    """The hyperparameters of a preset for some corpora and lengths of a run.

    Attributes:
        preset: The name of the preset.
        is_large_vocabulary: Whether the vocabulary has at least ``LARGE_VOCABULARY`` common symbols.
        max_epochs: Largest number of epochs of such a run, for a text of ``SCALE`` tokens.
        recipe: The hyperparameters.
    """

    preset: str
    is_large_vocabulary: bool
    max_epochs: float
    recipe: Recipe


# The smallest number of common symbols that counts as large. Chinese and Japanese texts have more than a
# thousand. A text in English has fewer than a hundred, even if it has hundreds of rare symbols.
LARGE_VOCABULARY = 300

# The numbers of epochs in ``CHOICES`` are for this number of tokens. A text of half the length allows for
# half as many, but with ``small`` and a small vocabulary for an eighth.
SCALE = 500_000
SMALL_LENGTH_EXPONENT = 3

# The number of epochs of a text of ``SCALE`` tokens if it is not known: about that of the time which
# ``docs/training.md`` names for each preset.
USUAL_EPOCHS = 100

SMALL = Recipe(units=88, layers=2)
SMALL_IN_LONG_RUN = replace(SMALL, confidence_penalty=0.1)
SMALL_IN_VERY_LONG_RUN = replace(SMALL_IN_LONG_RUN, activation_penalty=4.0)
MEDIUM = Recipe(units=176, layers=2, embedding=32, activation_penalty=4.0, confidence_penalty=0.1)
# The learning rate, the weight decay and the penalties of ``large`` were chosen together with its dropout.
LARGE = Recipe(
    units=448,
    layers=2,
    embedding=64,
    muon_lr=0.0,
    learning_rate=0.04,
    weight_decay=0.1,
    activation_penalty=4.0,
    confidence_penalty=0.1,
)

# A large vocabulary needs a larger embedding. Most of its characters are rare, and rare characters are
# learned better from many small batches than from few large ones.
SMALL_FOR_LARGE_VOCABULARY = Recipe(units=144, embedding=64, batch=16, sequence_length=32)
MEDIUM_FOR_LARGE_VOCABULARY = replace(SMALL_FOR_LARGE_VOCABULARY, units=256)
LARGE_FOR_LARGE_VOCABULARY = replace(
    SMALL_FOR_LARGE_VOCABULARY, units=448, layers=2, embedding=128, muon_lr=0.0
)


def _dropping(recipe: Recipe, outputs: float, inputs: float, recurrent_weights: float) -> Recipe:
    return replace(recipe, dropout=outputs, input_dropout=inputs, weight_dropout=recurrent_weights)


# In a run of few epochs, a network does not overfit, and dropout only slows it down. In a run of many epochs,
# it needs more of it. DropConnect on the recurrent weights costs less than dropout on the outputs. In
# ``small``, dropout on the outputs and penalties pay only for a short text. The first choice of a preset that
# allows for the epochs of a run applies.
CHOICES = (
    # Shares that are dropped: outputs, inputs, recurrent weights.
    Choice("small", False, 40, _dropping(SMALL, 0.0, 0.0, 0.05)),
    Choice("small", False, 500, _dropping(SMALL, 0.0, 0.0, 0.1)),
    Choice("small", False, 60_000, _dropping(SMALL_IN_LONG_RUN, 0.1, 0.0, 0.2)),
    Choice("small", False, 600_000, _dropping(SMALL_IN_VERY_LONG_RUN, 0.2, 0.0, 0.3)),
    Choice("small", False, math.inf, _dropping(SMALL_IN_VERY_LONG_RUN, 0.3, 0.0, 0.5)),
    Choice("medium", False, 20, _dropping(MEDIUM, 0.0, 0.0, 0.1)),
    Choice("medium", False, 50, _dropping(MEDIUM, 0.0, 0.0, 0.3)),
    Choice("medium", False, math.inf, _dropping(MEDIUM, 0.1, 0.05, 0.3)),
    Choice("large", False, 10, _dropping(LARGE, 0.1, 0.0, 0.2)),
    Choice("large", False, 30, _dropping(LARGE, 0.2, 0.05, 0.3)),
    Choice("large", False, math.inf, _dropping(LARGE, 0.3, 0.1, 0.3)),
    Choice("small", True, 20, _dropping(SMALL_FOR_LARGE_VOCABULARY, 0.1, 0.0, 0.1)),
    Choice("small", True, math.inf, _dropping(SMALL_FOR_LARGE_VOCABULARY, 0.2, 0.15, 0.2)),
    Choice("medium", True, math.inf, _dropping(MEDIUM_FOR_LARGE_VOCABULARY, 0.3, 0.1, 0.3)),
    Choice("large", True, math.inf, _dropping(LARGE_FOR_LARGE_VOCABULARY, 0.4, 0.1, 0.3)),
)

# The values of another cell that differ from those of the LSTM. The sizes give about as many parameters.
# Convolutions have no recurrent weights. With dropout on the outputs of each layer, they learn more slowly.
NO_PENALTIES = {"activation_penalty": 0.0, "confidence_penalty": 0.0}
CELL_PRESETS: dict[str, dict[str, dict[str, Any]]] = {
    GRU: {
        "small": {"units": 168, "layers": 1},
        "medium": {"units": 208, "layers": 2},
        "large": {"units": 520, "learning_rate": SMALL.learning_rate, "weight_decay": SMALL.weight_decay},
    },
    CONV: {
        "small": {
            "units": 86,
            "layers": 4,
            "residual": True,
            "dropout": 0.0,
            "weight_dropout": 0.0,
            **NO_PENALTIES,
        },
        "medium": {
            "units": 148,
            "layers": 5,
            "residual": True,
            "dropout": 0.1,
            "input_dropout": 0.1,
            "weight_dropout": 0.0,
        },
        "large": {
            "units": 350,
            "layers": 6,
            "residual": True,
            "dropout": 0.2,
            "input_dropout": 0.1,
            "weight_dropout": 0.0,
        },
    },
}

# What acts against overfitting, turned off.
NO_REGULARIZATION: dict[str, float] = dict.fromkeys(
    ("dropout", "input_dropout", "weight_dropout", "activation_penalty", "confidence_penalty"), 0.0
)

# A network that learns mostly from the predictions of a trained model hardly overfits, because they say more
# of each character than the text does. This was measured only in `small`, with a weight of 0.9 and a small
# vocabulary. With a lower weight than this, presets keep their regularization.
MIN_TEACHER_WEIGHT = 0.8


def preset(  # noqa: PLR0913 (keywords)
    name: str,
    common_symbols: int,
    *,
    cell: str = LSTM,
    epochs: float | None = None,
    training_tokens: int = SCALE,
    teacher_weight: float = 0.0,
) -> Recipe:
    """Return the preset for a corpus, a length of the run and a cell.

    Args:
        name: A key of ``PRESETS``.
        common_symbols: Number of the most frequent symbols that make up 99% of the training text, as
            ``Dataset.common_symbols``.
        cell: One of ``CELLS``.
        epochs: The number of epochs that the run is expected to have. None stands for the 100 epochs of a
            run of usual length, whatever ``training_tokens`` is.
        training_tokens: Number of tokens of the training text.
        teacher_weight: The share of the predictions of trained models in what the network learns. From 0.8
            on, the preset has no dropout and no penalties.

    Raises:
        KeyError: If there is no preset of this name, or no such cell.
    """
    is_large = common_symbols >= LARGE_VOCABULARY
    exponent = SMALL_LENGTH_EXPONENT if name == "small" and not is_large else 1
    scaled_epochs = USUAL_EPOCHS if epochs is None else epochs * (SCALE / training_tokens) ** exponent
    choices = [row for row in CHOICES if (row.preset, row.is_large_vocabulary) == (name, is_large)]
    if not choices:
        raise KeyError(name)
    recipe = next(row.recipe for row in choices if scaled_epochs <= row.max_epochs)
    changes: dict[str, Any] = {} if cell == LSTM else {"cell": cell, **CELL_PRESETS[cell][name]}
    if teacher_weight >= MIN_TEACHER_WEIGHT:
        changes |= NO_REGULARIZATION
    return replace(recipe, **changes)


# Each preset in a run of usual length, with a small vocabulary.
PRESETS = {name: preset(name, 0) for name in ("small", "medium", "large")}
