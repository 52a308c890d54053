"""The losses of an exported model on the held-out text and on a part of the training text."""

import numpy as np
from textgen_runtime.generation.model import Model
from textgen_runtime.scoring.surprisals import cross_entropy

from textgen_train.data.dataset import Dataset

# The maximum number of training characters that an evaluation scores. They show the overfitting of the
# model, so fewer are sufficient than for the held-out loss.
MAX_TRAINING_CHARACTERS = 20_000


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


def training_loss(model: Model, dataset: Dataset) -> float:
    """Return the mean negative log-likelihood of a part of the training text, in nats per character.

    It is computed like ``held_out_loss``. The part is the end of the training text. It is as long as the
    held-out text, but has at most 20,000 characters. The difference of both losses shows how much the model
    is overfitted.

    Args:
        model: An exported model with the dataset's vocabulary.
        dataset: Provides the training text.
    """
    tokens = dataset.training[-training_part_length(dataset) - 1 :]
    return cross_entropy(model.engine, np.asarray(tokens, np.int64))


def training_part_length(dataset: Dataset) -> int:
    """Return the number of characters of the training text that ``training_loss`` scores."""
    return min(len(dataset.held_out), MAX_TRAINING_CHARACTERS, len(dataset.training) - 1)
