"""Presets: the recommended hyperparameters for a time, a vocabulary, a budget and a cell."""

from dataclasses import replace
from typing import Any

from .recipe import CONV, GRU, LSTM, Budget, Recipe

PRESETS = {
    "small": Recipe(units=88, layers=2, weight_dropout=0.1),
    "medium": Recipe(units=176, layers=2, embedding=32, dropout=0.1, input_dropout=0.05, weight_dropout=0.3),
    "large": Recipe(
        units=512, layers=2, embedding=64, dropout=0.4, input_dropout=0.1, weight_dropout=0.3, muon_lr=0.0
    ),
}


# The smallest vocabulary that counts as large, for example that of Chinese or Japanese text.
LARGE_VOCABULARY = 500

# A large vocabulary needs a larger embedding. Most of its characters are rare, and rare characters are
# learned better from many small batches than from few large ones. In the smaller presets, two layers were not
# tried for it.
PRESETS_FOR_LARGE_VOCABULARY = {
    "small": replace(
        PRESETS["small"], units=144, layers=1, embedding=64, dropout=0.1, batch=16, sequence_length=32
    ),
    "medium": replace(
        PRESETS["medium"],
        units=256,
        layers=1,
        embedding=64,
        dropout=0.3,
        input_dropout=0.1,
        weight_dropout=0.3,
        batch=16,
        sequence_length=32,
    ),
    "large": replace(PRESETS["large"], embedding=128, batch=16, sequence_length=32),
}


# In a run of few epochs, the small preset does not overfit, and dropout only slows it down. In a run of many
# epochs, it needs more dropout. These numbers are for a text of SCALE tokens. A text of half the length
# allows for half as many epochs.
SHORT_RUN_EPOCHS, MANY_EPOCHS, SCALE = 40, 90, 500_000
SHORT_RUN = replace(PRESETS["small"], weight_dropout=0.05)
RUN_OF_MANY_EPOCHS = replace(PRESETS["small"], dropout=0.1, weight_dropout=0.2)

# With a large vocabulary, the small preset overfits in long runs and needs more dropout there. A run is long
# from this number of minutes or epochs. In a run of two minutes, more dropout raises the held-out loss.
LONG_RUN_MINUTES, LONG_RUN_EPOCHS = 5.0, 15
LONG_RUN = replace(PRESETS_FOR_LARGE_VOCABULARY["small"], dropout=0.2, input_dropout=0.15, weight_dropout=0.2)


# The presets are for an LSTM. The sizes of another cell give about as many parameters. Convolutions have no
# recurrent weights, and with dropout on the outputs of each layer they learn more slowly than an LSTM.
CELL_PRESETS: dict[str, dict[str, dict[str, Any]]] = {
    GRU: {
        "small": {"units": 168, "layers": 1},
        "medium": {"units": 208, "layers": 2},
        "large": {"units": 592},
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
        "large": {"units": 400, "layers": 6, "residual": True, "dropout": 0.2, "weight_dropout": 0.0},
    },
}


def preset(
    name: str,
    vocabulary_size: int,
    budget: Budget | None = None,
    cell: str = LSTM,
    training_tokens: int | None = None,
) -> Recipe:
    """Return the preset for a corpus, a budget and a cell.

    Args:
        name: A key of ``PRESETS``.
        vocabulary_size: Number of symbols.
        budget: Length of the run. None if it is not known.
        cell: One of ``CELLS``.
        training_tokens: Number of tokens of the training text. None if it is not known.

    Raises:
        KeyError: If there is no preset of this name.
    """
    recipe = _lstm_preset(name, vocabulary_size, budget, training_tokens)
    return recipe if cell == LSTM else replace(recipe, cell=cell, **CELL_PRESETS[cell][name])


def _small_preset(budget: Budget | None, training_tokens: int | None) -> Recipe:
    if budget is None or not training_tokens:
        return PRESETS["small"]
    epochs = budget.expected_epochs(training_tokens) * SCALE / training_tokens
    if epochs <= SHORT_RUN_EPOCHS:
        return SHORT_RUN
    return PRESETS["small"] if epochs <= MANY_EPOCHS else RUN_OF_MANY_EPOCHS


def _lstm_preset(
    name: str, vocabulary_size: int, budget: Budget | None, training_tokens: int | None
) -> Recipe:
    if vocabulary_size < LARGE_VOCABULARY:
        return _small_preset(budget, training_tokens) if name == "small" else PRESETS[name]
    minutes, epochs = (budget.minutes, budget.epochs) if budget else (None, None)
    if name == "small" and ((minutes or 0) >= LONG_RUN_MINUTES or (epochs or 0) >= LONG_RUN_EPOCHS):
        return LONG_RUN
    return PRESETS_FOR_LARGE_VOCABULARY[name]
