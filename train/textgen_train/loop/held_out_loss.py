"""The held-out loss of a model: every character predicted once, from all that came before it."""

import numpy as np
from textgen_runtime.generation.model import Model
from textgen_runtime.scoring.prediction import cross_entropy

from textgen_train.data.dataset import Dataset


def held_out_loss(model: Model, dataset: Dataset) -> float:
    """Mean negative log-probability of the held-out characters, in nats a character.

    The text is read once, as one lane, with the state carried from its first character to its last. An
    exported model is scored, by the engine that will run it: this is the loss that a user of the file gets,
    and the native engine reads a single lane several times faster than torch does.

    Args:
        model: An exported model with the dataset's vocabulary.
        dataset: What to score on.
    """
    tokens = np.concatenate([[dataset.before_held_out], dataset.held_out])
    return cross_entropy(model.engine, tokens)
