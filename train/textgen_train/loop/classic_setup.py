"""The textbook's experiment, for comparison with the default recipe.

F. Chollet, Deep Learning with Python (2017), listing 8.1 and following. An LSTM with 128 units is trained on
overlapping windows of one-hot characters. A window of 60 characters begins at every third character of the
text. It has one target, the next character, and the LSTM starts from the initial state. The optimizer is
RMSprop with a constant learning rate of 0.01 and batches of 128 windows.

The initial weights are those of Keras. RMSprop adds epsilon to the square root, as Keras did in 2017; Keras
3 adds it under the root. The gates are sigmoids, as in Keras since 2.3, not the earlier hard sigmoids. As in
the rest of this package, matrix products are in bfloat16 if the device supports it.
"""

import math
from collections.abc import Iterator
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from textgen_train.data.batches import PADDING, Batch
from textgen_train.data.tokens import Tokens, release_pages
from textgen_train.models.cells import CharLSTM
from textgen_train.recipe import ClassicRecipe

from .setup import Setup

# Keras's defaults for RMSprop.
RMSPROP_DECAY = 0.9
RMSPROP_EPSILON = 1e-7

# Number of batches whose windows are shuffled together. Their order takes 64 MiB with 128 windows per batch.
MAX_SHUFFLED_BATCHES = 2**16


def classic_setup(text: Tokens, vocabulary_size: int, recipe: ClassicRecipe) -> Setup:
    """Return the parts of a trainer, with random weights; the arguments are those of ``Trainer``.

    Raises:
        ValueError: If the text is too short for one window.
    """
    if len(text) <= recipe.window:
        raise ValueError(
            f"the text has {len(text)} characters, but a window and its target need {recipe.window + 1}"
        )
    model = classic_network(vocabulary_size, recipe.units)

    def make_optimizers() -> list[torch.optim.Optimizer]:
        trained = [weight for weight in model.parameters() if weight.requires_grad]
        return [torch.optim.RMSprop(trained, recipe.learning_rate, alpha=RMSPROP_DECAY, eps=RMSPROP_EPSILON)]

    return Setup(WindowBatches(text, recipe), model, make_optimizers, lambda *_: 1.0)


def classic_network(vocabulary_size: int, units: int) -> CharLSTM:
    """Return a network with the initial weights of Keras.

    Input and output matrices are Glorot uniform, recurrent matrices are orthogonal, and the forget-gate bias
    is 1.
    """
    model = CharLSTM(vocabulary_size, units=units, embedding=vocabulary_size)
    # An embedding with the identity matrix makes one-hot input for one batch at a time. The textbook makes it
    # for all windows at once, in an array of about 700 MB for a book.
    nn.init.eye_(model.embedding.weight).requires_grad_(False)
    nn.init.xavier_uniform_(model.output.weight)
    nn.init.zeros_(model.output.bias)
    lstm = dict(model.layers[0].named_parameters())
    nn.init.xavier_uniform_(lstm["weight_ih_l0"])
    nn.init.orthogonal_(lstm["weight_hh_l0"])
    with torch.no_grad():
        lstm["bias_ih_l0"].zero_()[units : 2 * units] = 1.0
    # Keras has one bias, and torch has two. The second one stays zero.
    nn.init.zeros_(lstm["bias_hh_l0"]).requires_grad_(False)
    return model


class WindowBatches:
    """The batches of overlapping windows of a text, in random order. A very long text is shuffled in parts.

    Each window is a lane that starts from the initial state. The mean loss of each batch counts the same.

    Args:
        text: Shape [characters], of any integer type; longer than a window.
        recipe: Length and distance of the windows, and their number per batch.
    """

    has_equal_lanes = False

    def __init__(self, text: Tokens, recipe: ClassicRecipe) -> None:
        self._text, self._recipe = text, recipe
        self._count = math.ceil((len(text) - recipe.window) / recipe.window_step)
        self.max_lanes = recipe.batch
        self.updates_per_epoch = math.ceil(self._count / recipe.batch)
        self.tokens_per_epoch = self._count * recipe.window

    def epoch(self, seed: int, first: int = 0) -> Iterator[Batch]:
        """Yield the batches of an epoch."""
        window = np.arange(self._recipe.window)[:, np.newaxis]
        for order in islice(self._shuffled(torch.Generator().manual_seed(seed)), first, None):
            starts = order * self._recipe.window_step
            inputs = torch.from_numpy(self._text[starts + window].astype(np.int64))
            # Only the character after the window is a target.
            targets = torch.full_like(inputs, PADDING)
            last = self._text[starts + self._recipe.window].astype(np.int64)
            targets[-1] = torch.from_numpy(last)
            yield Batch(inputs, targets, len(order), is_start=True, divisor=len(order))

    def _shuffled(self, rng: torch.Generator) -> Iterator[NDArray[np.int64]]:
        """Yield the indices of the windows of each batch."""
        batch = self._recipe.batch
        for start in range(0, self._count, batch * MAX_SHUFFLED_BATCHES):
            count = min(batch * MAX_SHUFFLED_BATCHES, self._count - start)
            order = torch.randperm(count, generator=rng) + start
            yield from (part.numpy() for part in torch.split(order, batch))
            release_pages(self._text)
