"""How the default recipe learns: parallel streams, the state carried along, a loss at every character."""

import math
import random
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from textgen_train.data.batching import lane_count, sequences
from textgen_train.errors import TrainingError
from textgen_train.models.lstm import CharLSTM, LSTMState
from textgen_train.models.output_loss import output_loss
from textgen_train.models.precision import autocast
from textgen_train.optim.lr_schedule import lr_factor
from textgen_train.optim.muon import Muon
from textgen_train.recipe import Budget, Recipe

from .replicas import Replicas, threads_or_all
from .rng_state import python_rng, python_rng_state
from .trainer import Trainer

# One character to read and one to predict.
MIN_TEXT = 2

ADAMW_BETAS = (0.9, 0.99)


class StatefulTrainer(Trainer):
    """Trains a new model on a text.

    The LSTM's matrices learn by Muon if the recipe gives it a learning rate, everything else by AdamW.

    Args:
        text: Shape [characters], int64; at least two of them.
        vocabulary_size: How many different ones there may be.
        recipe: How.
        budget: For how long.
        seed: Of the weights, of the seams between streams and of dropout. A budget of epochs makes the same
            model again on the same machine with as many threads; a budget of minutes depends on its speed.
        threads: How many replicas of the network may train side by side. None: one for each processor that
            this process may use.

    Raises:
        ValueError: If the text is too short, or ``threads`` is below 1.
    """

    def __init__(  # noqa: PLR0913 (each is needed; the last has a default)
        self,
        text: NDArray[np.int64],
        vocabulary_size: int,
        recipe: Recipe,
        budget: Budget,
        seed: int,
        *,
        threads: int | None = None,
    ) -> None:
        if len(text) < MIN_TEXT:
            raise ValueError(f"there is nothing to learn from a text of {len(text)} characters")
        self._text, self._recipe = torch.from_numpy(text), recipe
        self._streams = lane_count(len(text), recipe.batch, recipe.sequence_length)
        self._order = random.Random(seed)
        torch.manual_seed(seed)
        model = CharLSTM(
            vocabulary_size,
            units=recipe.units,
            layers=recipe.layers,
            embedding=recipe.embedding,
            dropout=recipe.dropout,
            input_dropout=recipe.input_dropout,
            weight_dropout=recipe.weight_dropout,
        )
        _start_from_frequencies(model, text)
        super().__init__(
            Replicas(model, self._streams, threads_or_all(threads), seed),
            budget,
            math.ceil((len(text) // self._streams - 1) / recipe.sequence_length),
            len(text),
            recipe.learning_rate,
        )
        self._states = self._initial_states()
        matrices = self.model.lstm_matrices if recipe.muon_lr else []
        rest = [weight for weight in self.model.parameters() if not any(weight is one for one in matrices)]
        adamw = torch.optim.AdamW(
            rest, recipe.learning_rate, ADAMW_BETAS, weight_decay=recipe.weight_decay, fused=True
        )
        # Each with its learning rate as the recipe states it.
        self._optimizers: list[tuple[torch.optim.Optimizer, float]] = [(adamw, recipe.learning_rate)]
        if matrices:
            muon = Muon(matrices, recipe.muon_lr, recipe.muon_weight_decay)
            self._optimizers.append((muon, recipe.muon_lr))

    def _batches(self, first: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        if not first:
            self._states = self._initial_states()
        offset = self._order.randrange(len(self._text))
        yield from islice(
            sequences(self._text, self._streams, self._recipe.sequence_length, offset), first, None
        )

    def _all_optimizers(self) -> Sequence[torch.optim.Optimizer]:
        return [optimizer for optimizer, _ in self._optimizers]

    def _carried_state(self) -> dict[str, Tensor]:
        hidden, cell = zip(*self._states, strict=True)
        return {"hidden": torch.cat(hidden, dim=1), "cell": torch.cat(cell, dim=1)}

    def _restore_carried_state(self, state: dict[str, Tensor]) -> None:
        self._states = [
            # In the layout of an update's own states, so that the next one computes the same bits.
            (
                state["hidden"][:, lanes].clone(memory_format=torch.contiguous_format),
                state["cell"][:, lanes].clone(memory_format=torch.contiguous_format),
            )
            for lanes in self.replicas.shares(self._streams)
        ]

    def _order_rng_state(self) -> list[Any]:
        return python_rng_state(self._order)

    def _restore_order_rng(self, state: Tensor | list[Any]) -> None:
        if isinstance(state, Tensor):
            raise TrainingError("the training state is of another kind of trainer")
        self._order = python_rng(state)

    def _initial_states(self) -> list[LSTMState]:
        shares = self.replicas.shares(self._streams)
        return [self.model.initial_state(share.stop - share.start) for share in shares]

    def _rate(self, step: int, progress: float) -> float:
        return lr_factor(self._recipe, step, progress)

    def _learn(self, inputs: Tensor, targets: Tensor, rate: float) -> float:
        for optimizer, stated_rate in self._optimizers:
            for group in optimizer.param_groups:
                group["lr"] = stated_rate * rate
        shares = self.replicas.shares(self._streams)

        def loss(replica: int, model: CharLSTM) -> Tensor:
            lanes = shares[replica]
            with autocast():
                outputs, (hidden, cell) = model.read(inputs[:, lanes], self._states[replica])
            # No gradient goes back beyond the slice.
            self._states[replica] = (hidden.detach().float(), cell.detach().float())
            summed = output_loss(
                outputs.flatten(0, 1), model.output.weight, model.output.bias, targets[:, lanes].flatten()
            )
            return summed / targets.numel()

        nats = self.replicas.backward(loss)
        nn.utils.clip_grad_norm_(self.model.parameters(), self._recipe.grad_clip)
        for optimizer, _ in self._optimizers:
            optimizer.step()
        return nats


@torch.no_grad()
def _start_from_frequencies(model: CharLSTM, text: NDArray[np.int64]) -> None:
    """Let an untrained network predict each character as often as the text has it.

    With a vocabulary of thousands, the first passes would otherwise learn little else: after eight passes
    over a Japanese text it is worth 0.03 nats.
    """
    # Half a count for characters that the text does not have.
    counts = np.bincount(text, minlength=model.output.out_features) + 0.5
    model.output.bias.copy_(torch.from_numpy(np.log(counts / counts.sum())))
