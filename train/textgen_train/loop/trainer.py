"""The training loop, whatever it is that learns: updates until the budget is used up."""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from time import perf_counter
from typing import Any, Literal

import torch
from torch import Tensor

from textgen_train.errors import TrainingError
from textgen_train.optim.optimizer_state import fits, optimizer_state, restore_optimizer_state
from textgen_train.recipe import Budget

from .checkpoint import TrainerState
from .replicas import Replicas, one_thread_an_operation
from .rng_state import torch_rng
from .update import Update


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
        self._step = 0
        self._is_updating = False
        # The state of the generator of the order, before the pass that the next update belongs to.
        self._order_rng = self._order_rng_state()
        # Of earlier calls of `updates`; and when the current one began, less these.
        self._seconds_before = 0.0
        self._started: float | None = None

    def updates(self) -> Iterator[Update]:
        """Train, stopping after each update to say what it was, until the budget is used up.

        Time that the caller takes in between counts towards a budget of minutes. Until the last update,
        torch's operations use one thread each, the caller's too: the replicas are what runs side by side.
        A later call goes on after the last update.

        Raises:
            TrainingError: If the loss is no longer a number.
        """
        self._started = perf_counter() - self._seconds_before
        try:
            with one_thread_an_operation():
                yield from self._updates()
        finally:
            self._seconds_before, self._started = self._seconds(), None

    def state(self) -> TrainerState:
        """A copy of what is carried from one update to the next; later updates do not change it.

        Raises:
            TrainingError: If the last update failed or was interrupted: a part of the weights may be changed.
        """
        if self._is_updating:
            raise TrainingError("there is no training state: the last update did not come to its end")
        return TrainerState(
            step=self._step,
            seconds=self._seconds(),
            weights={name: weight.detach().clone() for name, weight in self._trained_weights().items()},
            optimizers=optimizer_state(self._all_optimizers(), self.model),
            carried=self._carried_state(),
            dropout_rngs=self.replicas.rng_states(),
            order_rng=self._order_rng,
        )

    def restore(self, state: TrainerState) -> None:
        """Go on from a state: the next call of ``updates`` makes the updates that follow it.

        With a budget of epochs, on the same machine and with the same versions, the weights become the same
        to the bit as without the stop.

        Args:
            state: Of a trainer of the same kind, text, recipe and number of replicas; it is copied.

        Raises:
            TrainingError: If the state does not fit this trainer, which stays unchanged.
            RuntimeError: If ``updates`` has begun and not ended.
        """
        if self._started is not None:
            raise RuntimeError("a trainer is restored before its updates begin or after they end")
        weights = self._trained_weights()
        self._check(state, weights)
        rngs = [torch_rng(rng) for rng in state.dropout_rngs]
        self._restore_order_rng(state.order_rng)
        self.replicas.restore_rngs(rngs)
        with torch.no_grad():
            for name, weight in weights.items():
                weight.copy_(state.weights[name])
        restore_optimizer_state(self._all_optimizers(), self.model, state.optimizers)
        self._restore_carried_state(state.carried)
        self._step, self._order_rng = state.step, self._order_rng_state()
        self._seconds_before, self._is_updating = state.seconds, False

    def _check(self, state: TrainerState, weights: dict[str, torch.nn.Parameter]) -> None:
        """See that a state fits."""

        def shapes(tensors: dict[str, Any]) -> dict[str, torch.Size]:
            return {name: tensor.shape for name, tensor in tensors.items()}

        if shapes(state.weights) != shapes(weights):
            raise TrainingError(
                "the training state is of another network: its weights differ in name or shape"
            )
        if len(state.dropout_rngs) != len(self.replicas):
            raise TrainingError(
                f"the training state is of {len(state.dropout_rngs)} replicas, and there are "
                f"{len(self.replicas)} here: train with as many threads as before"
            )
        if shapes(state.carried) != shapes(self._carried_state()):
            raise TrainingError("the training state is of another number of lanes")
        optimizers = state.optimizers
        if bool(optimizers) != bool(state.step) or not fits(self._all_optimizers(), self.model, optimizers):
            raise TrainingError("the training state is of another optimizer")

    def _trained_weights(self) -> dict[str, torch.nn.Parameter]:
        return {name: weight for name, weight in self.model.named_parameters() if weight.requires_grad}

    def _seconds(self) -> float:
        """Since the first update began."""
        return self._seconds_before if self._started is None else perf_counter() - self._started

    def _progress(self) -> float:
        """How much of the budget is used up."""
        return self.budget.progress(
            self._seconds(), self._step / self.updates_an_epoch, self.reserved_seconds
        )

    def _updates(self) -> Iterator[Update]:
        # However short the time, there is a first update.
        while not self._step or self._progress() < 1.0:
            # An earlier call may have begun this pass: it goes on in the same order.
            self._restore_order_rng(self._order_rng)
            for inputs, targets in self._batches(self._step % self.updates_an_epoch):
                update = self._update(inputs, targets)
                yield update
                if update.progress >= 1.0 or self._progress() >= 1.0:
                    return

    def _update(self, inputs: Tensor, targets: Tensor) -> Update:
        # Asked anew, so that the rate is right after the caller's pause too.
        rate = self._rate(self._step, self._progress())
        self._is_updating = True
        nats = self._learn(inputs, targets, rate)
        if not math.isfinite(nats):
            raise TrainingError(f"the loss is {nats} at update {self._step + 1}: try lower learning rates")
        self._step += 1
        if self._step % self.updates_an_epoch == 0:
            self._order_rng = self._order_rng_state()
        self._is_updating = False
        return Update(
            step=self._step,
            epochs=self._step / self.updates_an_epoch,
            seconds=self._seconds(),
            progress=self._progress(),
            learning_rate=rate * self._stated_rate,
            characters=targets.numel(),
            nats=nats,
            ends_epoch=self._step % self.updates_an_epoch == 0,
        )

    @abstractmethod
    def _batches(self, first: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        """One pass over the text: what to read and what to predict, ``updates_an_epoch`` times.

        Args:
            first: The batch to begin with; those before it are passed over, in the same order of the text.
        """

    @abstractmethod
    def _all_optimizers(self) -> Sequence[torch.optim.Optimizer]:
        """All that change weights."""

    @abstractmethod
    def _carried_state(self) -> dict[str, Tensor]:
        """A copy of the network's state after the last update; each of shape [layers, lanes, units]."""

    @abstractmethod
    def _restore_carried_state(self, state: dict[str, Tensor]) -> None:
        """Go on from a copy of this state; it has the names and shapes of ``_carried_state``."""

    @abstractmethod
    def _order_rng_state(self) -> Tensor | list[Any]:
        """A copy of the state of the generator that the order of the next pass is drawn from."""

    @abstractmethod
    def _restore_order_rng(self, state: Tensor | list[Any]) -> None:
        """Make that generator go on from this state.

        Raises:
            TrainingError: If it is not the state of such a generator.
        """

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
