"""The textbook's experiment, for comparison: an LSTM of 128 on overlapping windows of one-hot letters.

F. Chollet, Deep Learning with Python (2017), listing 8.1 and following: windows of 60 characters, one every
3, each read from a blank state and with one target, the character behind it; RMSprop at a constant 0.01,
batches of 128. Initial weights are Keras's, and RMSprop adds its epsilon to the root as the Keras of that
year did (Keras 3 adds it under the root). The gates are sigmoids, as in Keras since 2.3, and not the hard
sigmoids of before. Where the processor has it, matrix products are in bfloat16, as everywhere in this
package.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from textgen_train.errors import TrainingError
from textgen_train.models.lstm import CharLSTM
from textgen_train.models.precision import autocast
from textgen_train.recipe import Budget, ClassicRecipe

from .replicas import Replicas, threads_or_all
from .rng_state import torch_rng
from .trainer import Trainer

# Keras's defaults for RMSprop.
RMSPROP_DECAY = 0.9
RMSPROP_EPSILON = 1e-7


def classic_network(vocabulary_size: int, units: int) -> CharLSTM:
    """A network with Keras's initial weights: Glorot's, orthogonal recurrence, forget gates open."""
    model = CharLSTM(vocabulary_size, units=units, embedding=vocabulary_size)
    # A row of the identity is a one-hot character. It is looked up for a batch at a time; the textbook makes
    # one array for all windows, some 700 MB for a book.
    nn.init.eye_(model.embedding.weight).requires_grad_(False)
    nn.init.xavier_uniform_(model.output.weight)
    nn.init.zeros_(model.output.bias)
    lstm = dict(model.layers[0].named_parameters())
    nn.init.xavier_uniform_(lstm["weight_ih_l0"])
    nn.init.orthogonal_(lstm["weight_hh_l0"])
    with torch.no_grad():
        lstm["bias_ih_l0"].zero_()[units : 2 * units] = 1.0
    # Keras has one bias where torch has two.
    nn.init.zeros_(lstm["bias_hh_l0"]).requires_grad_(False)
    return model


class ClassicTrainer(Trainer):
    """Trains as the textbook does.

    Args:
        text: Shape [characters], int64; longer than a window.
        vocabulary_size: How many different ones there may be.
        recipe: How.
        budget: For how long.
        seed: Of the weights and of the order of the windows.
        threads: How many replicas of the network may train side by side. None: one for each processor that
            this process may use.

    Raises:
        ValueError: If the text is too short for a single window, or ``threads`` is below 1.
    """

    # It reads 60 characters to predict one.
    unit = "windows"

    def __init__(  # noqa: PLR0913 (each is needed; the last has a default)
        self,
        text: NDArray[np.int64],
        vocabulary_size: int,
        recipe: ClassicRecipe,
        budget: Budget,
        seed: int,
        *,
        threads: int | None = None,
    ) -> None:
        if len(text) <= recipe.window:
            raise ValueError(
                f"a text of {len(text)} characters holds no window of {recipe.window} and a character behind"
            )
        torch.manual_seed(seed)
        self._recipe = recipe
        tokens = torch.from_numpy(text)
        # A view of the text: windows that overlap share their characters.
        self._windows = tokens[:-1].unfold(0, recipe.window, recipe.window_step)
        self._targets = tokens[recipe.window :: recipe.window_step]
        model = classic_network(vocabulary_size, recipe.units)
        # It goes on from the initial weights' draws, apart from whatever else in the process draws numbers.
        self._order = torch_rng(torch.get_rng_state())
        super().__init__(
            Replicas(model, recipe.batch, threads_or_all(threads), seed),
            budget,
            math.ceil(len(self._targets) / recipe.batch),
            len(self._targets) * recipe.window,
            recipe.learning_rate,
        )
        trained = [weight for weight in self.model.parameters() if weight.requires_grad]
        self._optimizer = torch.optim.RMSprop(
            trained, lr=recipe.learning_rate, alpha=RMSPROP_DECAY, eps=RMSPROP_EPSILON
        )

    def _batches(self, first: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        order = torch.randperm(len(self._targets), generator=self._order)
        for chosen in torch.split(order, self._recipe.batch)[first:]:
            yield self._windows[chosen].t().contiguous(), self._targets[chosen]

    def _all_optimizers(self) -> Sequence[torch.optim.Optimizer]:
        return [self._optimizer]

    def _carried_state(self) -> dict[str, Tensor]:
        return {}

    def _restore_carried_state(self, state: dict[str, Tensor]) -> None:
        """Each window is read from a blank state."""

    def _order_rng_state(self) -> Tensor:
        return self._order.get_state()

    def _restore_order_rng(self, state: Tensor | list[Any]) -> None:
        if not isinstance(state, Tensor):
            raise TrainingError("the training state is of another kind of trainer")
        self._order = torch_rng(state)

    def _rate(self, step: int, progress: float) -> float:
        del step, progress
        return 1.0

    def _learn(self, inputs: Tensor, targets: Tensor, rate: float) -> float:
        del rate
        shares = self.replicas.shares(len(targets))

        def loss(replica: int, model: CharLSTM) -> Tensor:
            lanes = shares[replica]
            own = targets[lanes]
            with autocast():
                outputs, _ = model.read(inputs[:, lanes], model.initial_state(len(own)))
                logits = model.output(outputs[-1])
            return nn.functional.cross_entropy(logits.float(), own, reduction="sum") / len(targets)

        nats = self.replicas.backward(loss)
        self._optimizer.step()
        return nats
