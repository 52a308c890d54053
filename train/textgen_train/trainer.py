"""The training loop: parallel streams, the state carried from slice to slice, a loss at every character."""

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from time import perf_counter

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from .errors import TrainingError
from .model import CharLSTM, LSTMState
from .precision import autocast
from .recipe import Budget, Recipe
from .streams import slices, stream_count

# One character to read and one to predict.
LEAST_TEXT = 2


@dataclass(frozen=True)
class Update:
    """One change of the weights.

    Attributes:
        step: How many there have been, this one included.
        epochs: Passes over the text so far, with a fraction.
        seconds: Since the first one began.
        progress: How much of the budget is used up, in [0, 1].
        learning_rate: What it was made with.
        characters: How many it learned from.
        nats: Their mean loss, before the change.
        ends_epoch: Whether a pass over the text ended with it.
    """

    step: int
    epochs: float
    seconds: float
    progress: float
    learning_rate: float
    characters: int
    nats: float
    ends_epoch: bool


class Trainer:
    """Trains a new model on a text.

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
        self._text = torch.from_numpy(text)
        self._recipe, self.budget = recipe, budget
        # Seconds of a budget of minutes that are kept for what comes after the last update.
        self.reserved_seconds = 0.0
        self._randomness = random.Random(seed)
        torch.manual_seed(seed)
        self.model = CharLSTM(vocabulary_size, recipe)
        self._optimizer = torch.optim.AdamW(
            self.model.parameters(), betas=(0.9, 0.99), weight_decay=recipe.weight_decay, fused=True
        )

    def updates(self) -> Iterator[Update]:
        """Train, stopping after each update to say what it was, until the budget is used up.

        Time that the caller takes in between counts towards a budget of minutes.

        Raises:
            TrainingError: If the loss is no longer a number.
        """
        started = perf_counter()
        streams = stream_count(len(self._text), self._recipe.batch, self._recipe.slice_length)
        in_epoch = math.ceil((len(self._text) // streams - 1) / self._recipe.slice_length)
        step = 0

        def progress() -> float:
            used = perf_counter() - started + self.reserved_seconds
            return self.budget.progress(used, step / in_epoch)

        while True:
            state = self.model.initial_state(streams)
            offset = self._randomness.randrange(len(self._text))
            for inputs, targets in slices(self._text, streams, self._recipe.slice_length, offset):
                # Asked anew, so that the rate is right after the caller's pause too.
                learning_rate = self._recipe.learning_rate_at(step, progress())
                nats, state = self._learn(inputs, targets, state, learning_rate)
                step += 1
                if not math.isfinite(nats):
                    raise TrainingError(f"the loss is {nats} at update {step}: try a lower learning rate")
                update = Update(
                    step=step,
                    epochs=step / in_epoch,
                    seconds=perf_counter() - started,
                    progress=progress(),
                    learning_rate=learning_rate,
                    characters=inputs.numel(),
                    nats=nats,
                    ends_epoch=step % in_epoch == 0,
                )
                yield update
                if update.progress >= 1.0 or progress() >= 1.0:
                    return

    def _learn(
        self, inputs: Tensor, targets: Tensor, state: LSTMState, learning_rate: float
    ) -> tuple[float, LSTMState]:
        """Change the weights once.

        Args:
            inputs: Shape [time, streams].
            targets: Shape [time, streams].
            state: What came before; no gradient goes back into it.
            learning_rate: Of this update.

        Returns:
            Mean loss a character in nats, and the state after the slice.
        """
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate
        with autocast():
            logits, (hidden, cell) = self.model(inputs, state)
        loss = nn.functional.cross_entropy(logits.float().flatten(0, 1), targets.flatten())
        self._optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.model.parameters(), self._recipe.clip)
        self._optimizer.step()
        return loss.item(), (hidden.detach().float(), cell.detach().float())
