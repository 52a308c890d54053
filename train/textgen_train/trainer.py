"""The training loop, whatever it is that learns: updates until the budget is used up."""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from time import perf_counter
from typing import Literal

from torch import Tensor

from .errors import TrainingError
from .recipe import Budget
from .replicas import Replicas, one_thread_an_operation


@dataclass(frozen=True)
class Update:
    """One change of the weights.

    Attributes:
        step: How many there have been, this one included.
        epochs: Passes over the text so far, with a fraction.
        seconds: Since the first one began.
        progress: How much of the budget is used up, in [0, 1].
        learning_rate: What it was made with; AdamW's where Muon has one of its own.
        characters: How many it learned to predict: one a window where it learns from windows.
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


class Trainer(ABC):
    """Trains a new model on a text.

    Args:
        replicas: Of a network with its initial weights.
        budget: For how long.
        updates_an_epoch: How many batches a pass over the text has.
        characters_an_epoch: How many characters are read in a pass.
        learning_rate: As the recipe states it.

    Attributes:
        unit: What its speed is counted in, each with one character to predict.
    """

    unit: Literal["characters", "windows"] = "characters"

    def __init__(
        self,
        replicas: Replicas,
        budget: Budget,
        updates_an_epoch: int,
        characters_an_epoch: int,
        learning_rate: float,
    ) -> None:
        self.replicas, self.model, self.budget = replicas, replicas.model, budget
        # Seconds of a budget of minutes that are kept for what comes after the last update.
        self.reserved_seconds = 0.0
        self.updates_an_epoch, self.characters_an_epoch = updates_an_epoch, characters_an_epoch
        self._stated_rate = learning_rate

    def updates(self) -> Iterator[Update]:
        """Train, stopping after each update to say what it was, until the budget is used up.

        Time that the caller takes in between counts towards a budget of minutes. Until the last update,
        torch's operations use one thread each, the caller's too: the replicas are what runs side by side.

        Raises:
            TrainingError: If the loss is no longer a number.
        """
        with one_thread_an_operation():
            yield from self._updates()

    def _updates(self) -> Iterator[Update]:
        started = perf_counter()
        step = 0

        def progress() -> float:
            used = perf_counter() - started
            return self.budget.progress(used, step / self.updates_an_epoch, self.reserved_seconds)

        while True:
            for inputs, targets in self._batches():
                # Asked anew, so that the rate is right after the caller's pause too.
                rate = self._rate(step, progress())
                nats = self._learn(inputs, targets, rate)
                step += 1
                if not math.isfinite(nats):
                    raise TrainingError(f"the loss is {nats} at update {step}: try lower learning rates")
                update = Update(
                    step=step,
                    epochs=step / self.updates_an_epoch,
                    seconds=perf_counter() - started,
                    progress=progress(),
                    learning_rate=rate * self._stated_rate,
                    characters=targets.numel(),
                    nats=nats,
                    ends_epoch=step % self.updates_an_epoch == 0,
                )
                yield update
                if update.progress >= 1.0 or progress() >= 1.0:
                    return

    @abstractmethod
    def _batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """One pass over the text: what to read and what to predict, ``updates_an_epoch`` times."""

    @abstractmethod
    def _rate(self, step: int, progress: float) -> float:
        """The factor on the learning rate.

        Args:
            step: The update's number, from 0.
            progress: How much of the budget is used up, in [0, 1].
        """

    @abstractmethod
    def _learn(self, inputs: Tensor, targets: Tensor, rate: float) -> float:
        """Change the weights once.

        Returns:
            Mean loss a character in nats, before the change.
        """
