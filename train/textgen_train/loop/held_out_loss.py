"""The held-out loss of an exported model."""

import numpy as np
from textgen_runtime.generation.model import Model
from textgen_runtime.scoring.surprisals import cross_entropy

from textgen_train.data.dataset import Dataset


def held_out_loss(model: Model, dataset: Dataset) -> float:
    """Return the mean negative log-likelihood of the held-out text, in nats per character.

    The loss per character is equal to the loss per token, because each token of a dataset is a character.
    The text is one lane: each character is predicted once, and the state is carried from the first to the
    last. The loss is computed by the engine of the exported model, so it is the loss that users of the file
    get. For a single lane the native engine is several times faster than torch.

    Args:
        model: An exported model with the dataset's vocabulary.
        dataset: Provides the held-out text.
    """
    tokens = np.concatenate([[dataset.before_held_out], dataset.held_out])
    return cross_entropy(model.engine, tokens)
