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
from torch import Tensor, nn

from textgen_train.data.batches import Batch
from textgen_train.data.tokens import Tokens, release_pages
from textgen_train.models.cells import CharLSTM
from textgen_train.models.device import CPU, autocast
from textgen_train.models.network import CharNetwork
from textgen_train.recipe import Budget, ClassicRecipe

from .checkpoint import torch_rng_from_state
from .ranks import SINGLE, Ranks
from .replicas import Replicas, resolve_thread_count
from .trainer import Trainer

# Keras's defaults for RMSprop.
RMSPROP_DECAY = 0.9
RMSPROP_EPSILON = 1e-7

# Number of batches whose windows are shuffled together. Their order takes 64 MiB with 128 windows per batch.
MAX_SHUFFLED_BATCHES = 2**16


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

    Args:
        text: Shape [characters], of any integer type; longer than a window.
        recipe: Length and distance of the windows, and their number per batch.
    """

    def __init__(self, text: Tokens, recipe: ClassicRecipe) -> None:
        self._text, self._recipe = text, recipe
        self._count = math.ceil((len(text) - recipe.window) / recipe.window_step)
        self.max_lanes = recipe.batch
        self.updates_per_epoch = math.ceil(self._count / recipe.batch)
        self.tokens_per_epoch = self._count * recipe.window

    def epoch(self, rng: torch.Generator, first: int = 0) -> Iterator[Batch]:
        """Yield the batches of an epoch."""
        window = np.arange(self._recipe.window)[:, np.newaxis]
        for order in islice(self._shuffled(rng), first, None):
            starts = order * self._recipe.window_step
            inputs, targets = self._text[starts + window], self._text[starts + self._recipe.window]
            yield Batch(
                torch.from_numpy(inputs.astype(np.int64)),
                torch.from_numpy(targets.astype(np.int64)),
                len(targets),
                is_start=True,
            )

    def _shuffled(self, rng: torch.Generator) -> Iterator[NDArray[np.int64]]:
        """Yield the indices of the windows of each batch."""
        batch = self._recipe.batch
        for start in range(0, self._count, batch * MAX_SHUFFLED_BATCHES):
            count = min(batch * MAX_SHUFFLED_BATCHES, self._count - start)
            order = torch.randperm(count, generator=rng) + start
            yield from (part.numpy() for part in torch.split(order, batch))
            release_pages(self._text)


class ClassicTrainer(Trainer):
    """Trains a new model on a text as the textbook does.

    Args:
        text: Shape [characters], of any integer type; longer than a window.
        vocabulary_size: Number of tokens.
        recipe: Hyperparameters.
        budget: Duration of the training.
        seed: Seed of the initial weights and of the order of the windows.
        threads: Maximum number of replicas that train in parallel in this process; None for one per available
            processor.
        device: Device of the network.
        ranks: The processes of the run.

    Raises:
        ValueError: If the text is too short for one window, or ``threads`` is below 1.
        TrainingError: If there are too many processes for a batch.
    """

    # The training speed is in windows, because each window has one target.
    unit = "windows"

    def __init__(  # noqa: PLR0913 (five are needed; three have defaults)
        self,
        text: Tokens,
        vocabulary_size: int,
        recipe: ClassicRecipe,
        budget: Budget,
        seed: int,
        *,
        threads: int | None = None,
        device: torch.device = CPU,
        ranks: Ranks = SINGLE,
    ) -> None:
        if len(text) <= recipe.window:
            raise ValueError(
                f"the text has {len(text)} characters, but a window and its target need {recipe.window + 1}"
            )
        torch.manual_seed(seed)
        model = classic_network(vocabulary_size, recipe.units)
        # A separate generator, so that other draws from the global one do not change the order of windows.
        order_rng = torch_rng_from_state(torch.get_rng_state())
        model.to(device)
        replicas = Replicas(model, recipe.batch, resolve_thread_count(threads, ranks), seed, ranks)
        trained = [weight for weight in model.parameters() if weight.requires_grad]
        optimizer = torch.optim.RMSprop(
            trained, lr=recipe.learning_rate, alpha=RMSPROP_DECAY, eps=RMSPROP_EPSILON
        )
        super().__init__(replicas, WindowBatches(text, recipe), order_rng, [optimizer], budget)

    def _update_weights(self, batch: Batch, lr_factor: float) -> float:
        def loss(replica: int, model: CharNetwork, lanes: slice) -> Tensor:
            del replica
            inputs = batch.inputs[:, lanes].to(model.device)
            targets = batch.targets[lanes].to(model.device)
            with autocast(model.device):
                outputs, _ = model.forward_features(inputs, model.initial_state(len(targets)))
                logits = model.output(outputs[-1])
            return nn.functional.cross_entropy(logits.float(), targets, reduction="sum") / batch.count

        nats, _ = self.replicas.backward(loss, batch.count, lr_factor)
        self._optimizers[0].step()
        return nats
