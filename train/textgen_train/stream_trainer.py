"""How the default recipe learns: parallel streams, the state carried along, a loss at every character."""

import math
import random
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from .model import CharLSTM
from .muon import Muon
from .precision import autocast
from .recipe import Budget, Recipe
from .streams import slices, stream_count
from .trainer import Trainer

# One character to read and one to predict.
LEAST_TEXT = 2

ADAMW_BETAS = (0.9, 0.99)


class StreamTrainer(Trainer):
    """Trains a new model on a text.

    The LSTM's matrices learn by Muon if the recipe gives it a learning rate, everything else by AdamW.

    Args:
        text: Shape [characters], int64; at least two of them.
        vocabulary_size: How many different ones there may be.
        recipe: How.
        budget: For how long.
        seed: Of the weights and of the seams between streams. A budget of epochs makes the same model
            again on the same machine; a budget of minutes depends on its speed.
    """

    def __init__(
        self, text: NDArray[np.int64], vocabulary_size: int, recipe: Recipe, budget: Budget, seed: int
    ) -> None:
        if len(text) < LEAST_TEXT:
            raise ValueError(f"there is nothing to learn from a text of {len(text)} characters")
        self._text, self._recipe = torch.from_numpy(text), recipe
        self._streams = stream_count(len(text), recipe.batch, recipe.slice_length)
        self._randomness = random.Random(seed)
        torch.manual_seed(seed)
        super().__init__(
            CharLSTM(
                vocabulary_size,
                units=recipe.units,
                layers=recipe.layers,
                embedding=recipe.embedding,
                dropout=recipe.dropout,
                input_dropout=recipe.input_dropout,
                weight_dropout=recipe.weight_dropout,
            ),
            budget,
            math.ceil((len(text) // self._streams - 1) / recipe.slice_length),
            recipe.learning_rate,
        )
        self._state = self.model.initial_state(self._streams)
        matrices = self.model.lstm_matrices if recipe.muon_rate else []
        rest = [weight for weight in self.model.parameters() if not any(weight is one for one in matrices)]
        adamw = torch.optim.AdamW(
            rest, recipe.learning_rate, ADAMW_BETAS, weight_decay=recipe.weight_decay, fused=True
        )
        # Each with its learning rate as the recipe states it.
        self._optimizers: list[tuple[torch.optim.Optimizer, float]] = [(adamw, recipe.learning_rate)]
        if matrices:
            muon = Muon(matrices, recipe.muon_rate, recipe.muon_decay)
            self._optimizers.append((muon, recipe.muon_rate))

    def _batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        self._state = self.model.initial_state(self._streams)
        offset = self._randomness.randrange(len(self._text))
        yield from slices(self._text, self._streams, self._recipe.slice_length, offset)

    def _rate(self, step: int, progress: float) -> float:
        return self._recipe.rate_at(step, progress)

    def _learn(self, inputs: Tensor, targets: Tensor, rate: float) -> float:
        for optimizer, stated_rate in self._optimizers:
            optimizer.zero_grad()
            for group in optimizer.param_groups:
                group["lr"] = stated_rate * rate
        with autocast():
            logits, (hidden, cell) = self.model(inputs, self._state)
        loss = nn.functional.cross_entropy(logits.float().flatten(0, 1), targets.flatten())
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.model.parameters(), self._recipe.clip)
        for optimizer, _ in self._optimizers:
            optimizer.step()
        # No gradient goes back beyond the slice.
        self._state = (hidden.detach().float(), cell.detach().float())
        return loss.item()
