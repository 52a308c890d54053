"""Presets: the recommended hyperparameters for a time, a vocabulary, a budget and a cell."""

import math
from dataclasses import replace
from typing import Any, NamedTuple

from .recipe import CONV, GRU, LSTM, Recipe

PRESETS = {
    "small": Recipe(units=88, layers=2, weight_dropout=0.1),
    "medium": Recipe(units=176, layers=2, embedding=32, dropout=0.1, input_dropout=0.05, weight_dropout=0.3),
    "large": Recipe(
        units=448,
        layers=2,
        embedding=64,
        dropout=0.3,
        input_dropout=0.1,
        weight_dropout=0.3,
        muon_lr=0.0,
        learning_rate=0.04,
        weight_decay=0.1,
        activation_penalty=4.0,
        confidence_penalty=0.1,
    ),
}


class Regularization(NamedTuple):
    """The dropout of a preset in runs of some length.

    Attributes:
        max_epochs: Largest number of epochs of such a run, for a text of ``SCALE`` tokens.
        values: The hyperparameters that differ from ``PRESETS``.
    """

    max_epochs: float
    values: dict[str, float]


SCALE = 500_000

# A text of half the length allows for half as many epochs, or for an eighth with an exponent of 3.
LENGTH_EXPONENT = {"small": 3, "medium": 1, "large": 1}

# In a run of few epochs, a network does not overfit, and dropout only slows it down. In a run of many epochs,
# it needs more of it. DropConnect on the recurrent weights costs less than dropout on the outputs, which pays
# only for a short text.
REGULARIZATION = {
    "small": (
        Regularization(40, {"weight_dropout": 0.05}),
        Regularization(800, {}),
        Regularization(60_000, {"dropout": 0.1, "weight_dropout": 0.2}),
        Regularization(600_000, {"dropout": 0.2, "weight_dropout": 0.3}),
        Regularization(math.inf, {"dropout": 0.3, "weight_dropout": 0.5}),
    ),
    "medium": (
        Regularization(20, {"dropout": 0.0, "input_dropout": 0.0, "weight_dropout": 0.1}),
        Regularization(50, {"dropout": 0.0, "input_dropout": 0.0}),
        Regularization(math.inf, {}),
    ),
    "large": (
        Regularization(10, {"dropout": 0.1, "input_dropout": 0.0, "weight_dropout": 0.2}),
        Regularization(30, {"dropout": 0.2, "input_dropout": 0.05}),
        Regularization(math.inf, {}),
    ),
}

# The smallest vocabulary that counts as large, for example that of Chinese or Japanese text.
LARGE_VOCABULARY = 500

# The learning rate, the weight decay and the penalties of ``large`` were chosen for an LSTM and a small
# vocabulary. Other cells and large vocabularies keep those of the other presets. Large vocabularies also
# drop more of the outputs, because the dropout of ``large`` was chosen together with these values.
VALUES_OF_OTHER_PRESETS: dict[str, Any] = {
    name: getattr(PRESETS["small"], name)
    for name in ("learning_rate", "weight_decay", "activation_penalty", "confidence_penalty")
}

# A large vocabulary needs a larger embedding. Most of its characters are rare, and rare characters are
# learned better from many small batches than from few large ones. In the smaller presets, two layers were not
# tried for it.
PRESETS_FOR_LARGE_VOCABULARY = {
    "small": Recipe(units=144, embedding=64, dropout=0.1, weight_dropout=0.1, batch=16, sequence_length=32),
    "medium": Recipe(
        units=256,
        embedding=64,
        dropout=0.3,
        input_dropout=0.1,
        weight_dropout=0.3,
        batch=16,
        sequence_length=32,
    ),
    "large": replace(
        PRESETS["large"],
        embedding=128,
        dropout=0.4,
        batch=16,
        sequence_length=32,
        **VALUES_OF_OTHER_PRESETS,
    ),
}

# With a large vocabulary, the small preset overfits in runs of this number of epochs or more, and needs more
# dropout there. In a run of a few epochs, more dropout raises the held-out loss.
LONG_RUN_EPOCHS = 15
LONG_RUN = replace(PRESETS_FOR_LARGE_VOCABULARY["small"], dropout=0.2, input_dropout=0.15, weight_dropout=0.2)


# The presets are for an LSTM. The sizes of another cell give about as many parameters. Convolutions have no
# recurrent weights, and with dropout on the outputs of each layer they learn more slowly than an LSTM.
CELL_PRESETS: dict[str, dict[str, dict[str, Any]]] = {
    GRU: {
        "small": {"units": 168, "layers": 1},
        "medium": {"units": 208, "layers": 2},
        "large": {"units": 520, **VALUES_OF_OTHER_PRESETS},
    },
    CONV: {
        "small": {"units": 86, "layers": 4, "residual": True, "dropout": 0.0, "weight_dropout": 0.0},
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
            **VALUES_OF_OTHER_PRESETS,
        },
    },
}

# A network that learns mostly from the predictions of a trained model hardly overfits, because they say more
# of each character than the text does. These values were compared only in `small`, with a weight of 0.9 and a
# small vocabulary: see docs/experiments.md. With a lower weight than this, presets keep their regularization.
MIN_TEACHER_WEIGHT = 0.8
TAUGHT: dict[str, float] = dict.fromkeys(
    ("dropout", "input_dropout", "weight_dropout", "activation_penalty", "confidence_penalty"), 0.0
)


def preset(  # noqa: PLR0913 (keywords)
    name: str,
    vocabulary_size: int,
    *,
    cell: str = LSTM,
    epochs: float | None = None,
    training_tokens: int = SCALE,
    teacher_weight: float = 0.0,
) -> Recipe:
    """Return the preset for a corpus, a length of the run and a cell.

    Args:
        name: A key of ``PRESETS``.
        vocabulary_size: Number of symbols.
        cell: One of ``CELLS``.
        epochs: The number of epochs that the run is expected to have. None if it is not known.
        training_tokens: Number of tokens of the training text.
        teacher_weight: The share of the predictions of trained models in what the network learns.

    Raises:
        KeyError: If there is no preset of this name, or no such cell.
    """
    if vocabulary_size < LARGE_VOCABULARY:
        recipe = _regularized(name, epochs, training_tokens)
    elif name == "small" and (epochs or 0) >= LONG_RUN_EPOCHS:
        recipe = LONG_RUN
    else:
        recipe = PRESETS_FOR_LARGE_VOCABULARY[name]
    changes: dict[str, Any] = {} if cell == LSTM else {"cell": cell, **CELL_PRESETS[cell][name]}
    if teacher_weight >= MIN_TEACHER_WEIGHT:
        changes |= TAUGHT
    return replace(recipe, **changes)


def _regularized(name: str, epochs: float | None, training_tokens: int) -> Recipe:
    if epochs is None:
        return PRESETS[name]
    scaled = epochs * (SCALE / training_tokens) ** LENGTH_EXPONENT[name]
    values: Any = next(row.values for row in REGULARIZATION[name] if scaled <= row.max_epochs)
    return replace(PRESETS[name], **values)
