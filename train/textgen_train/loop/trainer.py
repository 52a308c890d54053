"""The base class of both trainers. It makes updates until the budget is used up.

A trainer provides its batches, the generator of their order and its optimizers, and defines its update. If it
carries a state from batch to batch, or has a schedule of the learning rate, it defines these too.
"""

import contextlib
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterator, Sequence
from time import perf_counter
from typing import Literal

import torch
from torch import Tensor

from textgen_train.data.batches import Batch, Batches
from textgen_train.errors import LossError, TrainingError
from textgen_train.models.network import are_alike, concatenate_lanes
from textgen_train.optim import is_compatible, optimizer_state, restore_optimizer_state
from textgen_train.recipe import Budget

from .checkpoint import OrderRng, TrainerState, order_rng_state, restored_order_rng
from .events import Update
from .ranks import DismissedError, RankState, RestoredError
from .replicas import Replicas, single_threaded_operations


class Trainer(ABC):
    """Trains a new model on a text.

    Args:
        replicas: Replicas of the network, with its initial weights.
        batches: The batches of the text.
        order_rng: The generator of the order of the text.
        optimizers: The optimizers. Updates state the learning rate of the first one.
        budget: Duration of the training.

    Attributes:
        unit: The unit in which training speed is counted: characters, or windows for ``ClassicTrainer``. Each
            character or window has one target, the character to predict.
        replicas: Replicas of the network.
        model: The network.
        budget: Duration of the training.
        reserved_seconds: Seconds of a budget of minutes that are reserved for the last evaluation.
        updates_per_epoch: Number of batches per epoch.
        tokens_per_epoch: Number of input tokens per epoch.
    """

    unit: Literal["characters", "windows"] = "characters"

    def __init__(
        self,
        replicas: Replicas,
        batches: Batches,
        order_rng: OrderRng,
        optimizers: Sequence[torch.optim.Optimizer],
        budget: Budget,
    ) -> None:
        self.replicas, self.model, self.budget = replicas, replicas.model, budget
        self.reserved_seconds = 0.0
        self.updates_per_epoch, self.tokens_per_epoch = batches.updates_per_epoch, batches.tokens_per_epoch
        self._batches, self._order_rng, self._optimizers = batches, order_rng, optimizers
        self._step = 0
        self._is_updating = False
        # State of the generator of the text order at the start of the epoch of the next update.
        self._epoch_order_rng_state = order_rng_state(order_rng)
        # Total duration of earlier calls of `updates`.
        self._seconds_before = 0.0
        # Start of the current call, moved back by the duration of earlier calls; None between calls.
        self._started: float | None = None

    def updates(self) -> Generator[Update, None, None]:
        """Train until the budget is used up, and yield after each update.

        The caller's time between updates counts towards a budget of minutes. While the iterator is active,
        all operations of torch are single-threaded, because the replicas run in parallel. This includes the
        operations of the caller. Another call continues after the last update.

        Raises:
            LossError: If the loss is NaN or infinite.
        """
        self._started = perf_counter() - self._seconds_before
        try:
            with single_threaded_operations():
                # Make at least one update, even if the time is too short for it.
                if self._step and self._progress() >= 1.0:
                    return
                for batch in self._later_batches():
                    update = self._update(batch)
                    yield update
                    if update.progress >= 1.0 or self._progress() >= 1.0:
                        return
        finally:
            self._seconds_before, self._started = self._seconds(), None

    def measure_speed(self, seconds: float) -> float:
        """Train for this number of seconds after the first update, and return the targets per second.

        Raises:
            LossError: If the loss is NaN or infinite.
        """
        with contextlib.closing(self.updates()) as updates:
            # The first update also allocates memory.
            next(updates)
            started, targets = perf_counter(), 0.0
            for update in updates:
                targets += update.targets
                if perf_counter() - started >= seconds:
                    break
            return targets / (perf_counter() - started)

    def follow(self, check_interrupt: Callable[[], None] = lambda: None) -> None:
        """Make the updates that the first process of the run decides, until it ends the run.

        ``check_interrupt`` is called after each update. If it raises KeyboardInterrupt, the first process is
        told, and this process continues until the first one ends the run.

        Raises:
            LostProcessError: If another process has ended.
        """
        with single_threaded_operations(), contextlib.suppress(DismissedError):
            while True:
                try:
                    self._follow_updates(check_interrupt)
                except RestoredError as restored:
                    self._copy_state(restored.state)

    def state(self) -> TrainerState:
        """Return a copy of the complete state of the trainer. Later updates do not change it.

        If the run has several processes, only the first one may call this method.

        Raises:
            TrainingError: If the last update failed or was interrupted, because it may have changed some of
                the weights.
        """
        if self._is_updating:
            raise TrainingError(
                "no training state: the last update did not complete; restore an earlier state"
            )
        parts = self.replicas.ranks.gather(self._rank_state())
        return TrainerState(
            step=self._step,
            seconds=self._seconds(),
            weights={
                name: weight.detach().to("cpu", copy=True)
                for name, weight in self._trained_parameters().items()
            },
            optimizers=optimizer_state(self._optimizers, self.model),
            carried_state=concatenate_lanes([part.carried_state for part in parts]),
            dropout_rngs=[rng for part in parts for rng in part.dropout_rngs],
            order_rng=self._epoch_order_rng_state,
        )

    def count_seconds(self, seconds: float) -> None:
        """Count time before the first update towards a budget of minutes."""
        self._seconds_before += seconds

    def restore(self, state: TrainerState) -> None:
        """Copy a state into this trainer. The next call of ``updates`` continues from it.

        With a budget of epochs, on the same machine and with the same versions, the final weights are
        identical to the bit to those of an uninterrupted run.

        If the run has several processes, the first one calls this method, and the others follow it.

        Args:
            state: State of a trainer of the same class, with the same text, recipe and number of replicas in
                all processes.

        Raises:
            TrainingError: If the state does not fit this trainer, which stays unchanged.
            RuntimeError: If an iterator of ``updates`` is active.
        """
        if self._started is not None:
            raise RuntimeError("cannot restore a trainer during updates(): restore it before or after")
        self._copy_state(state)
        self.replicas.ranks.send(state)

    def _copy_state(self, state: TrainerState) -> None:
        weights = self._trained_parameters()
        self._check_compatible(state, weights)
        rngs = self.replicas.own_rngs(state.dropout_rngs)
        self._order_rng = restored_order_rng(self._order_rng, state.order_rng)
        self.replicas.restore_rngs(rngs)
        with torch.no_grad():
            for name, weight in weights.items():
                weight.copy_(state.weights[name])
        restore_optimizer_state(self._optimizers, self.model, state.optimizers)
        self._restore_carried_state(state.carried_state)
        self._step, self._epoch_order_rng_state = state.step, order_rng_state(self._order_rng)
        self._seconds_before, self._is_updating = state.seconds, False

    def _check_compatible(self, state: TrainerState, weights: dict[str, torch.nn.Parameter]) -> None:
        if not are_alike(state.weights, weights):
            raise TrainingError(
                "the training state is from another network, because its weights differ in name or shape: "
                "use the same text and recipe"
            )
        if not self._can_carry(state.carried_state):
            raise TrainingError(
                "the training state has another number of lanes: use the same text and recipe"
            )
        optimizers = state.optimizers
        if bool(optimizers) != bool(state.step) or not is_compatible(
            self._optimizers, self.model, optimizers
        ):
            raise TrainingError("the training state is from another optimizer: use the same recipe")

    def _trained_parameters(self) -> dict[str, torch.nn.Parameter]:
        return {name: weight for name, weight in self.model.named_parameters() if weight.requires_grad}

    def _rank_state(self) -> RankState:
        """Return a copy of the state that belongs to the lanes of this process, on the processor."""
        carried = {name: part.cpu() for name, part in self._carried_state().items()}
        return RankState(carried, self.replicas.rng_states())

    def _follow_updates(self, check_interrupt: Callable[[], None]) -> None:
        ranks = self.replicas.ranks
        ranks.keep_state(self._rank_state())
        for batch in self._later_batches():
            try:
                self._update(batch)
            except LossError as error:
                # The first process has the same error and reports it.
                raise DismissedError from error
            ranks.keep_state(self._rank_state())
            try:
                check_interrupt()
            except KeyboardInterrupt:
                ranks.report_interrupt()

    def _later_batches(self) -> Iterator[Batch]:
        """Yield the batches after the last update, epoch by epoch, without end."""
        while True:
            # An earlier call may have begun this epoch. Continue it in the same order.
            self._order_rng = restored_order_rng(self._order_rng, self._epoch_order_rng_state)
            yield from self._batches.epoch(self._order_rng, self._step % self.updates_per_epoch)

    def _seconds(self) -> float:
        """Return the time since the first update began."""
        return self._seconds_before if self._started is None else perf_counter() - self._started

    def _progress(self) -> float:
        """Return the fraction of the budget that is used."""
        return self.budget.progress(
            self._seconds(), self._step / self.updates_per_epoch, self.reserved_seconds
        )

    def _update(self, batch: Batch) -> Update:
        # The time that the caller spent since the last update counts towards a budget of minutes.
        lr_factor = self._lr_factor(self._step, self._progress())
        self._is_updating = True
        nats = self._update_weights(batch, lr_factor)
        if not math.isfinite(nats):
            raise LossError(f"the loss is {nats} at update {self._step + 1}: try lower learning rates")
        self._step += 1
        if self._step % self.updates_per_epoch == 0:
            self._epoch_order_rng_state = order_rng_state(self._order_rng)
        self._is_updating = False
        return Update(
            step=self._step,
            epochs=self._step / self.updates_per_epoch,
            seconds=self._seconds(),
            progress=self._progress(),
            learning_rate=lr_factor * self._optimizers[0].defaults["lr"],
            targets=batch.count,
            nats=nats,
            ends_epoch=self._step % self.updates_per_epoch == 0,
        )

    @abstractmethod
    def _update_weights(self, batch: Batch, lr_factor: float) -> float:
        """Make one update of the weights with a batch and a result of ``_lr_factor``.

        Returns:
            Mean loss per target in nats, before the update.
        """

    def _carried_state(self) -> dict[str, Tensor]:
        """Return a copy of the state of the lanes of this process after the last update, if it is carried."""
        return {}

    def _can_carry(self, state: dict[str, Tensor]) -> bool:
        """Return whether this can be the state of all lanes of a batch, by its names and shapes."""
        return not state

    def _restore_carried_state(self, state: dict[str, Tensor]) -> None:  # noqa: B027 (a default)
        """Continue from a copy of this state of all lanes, for which ``_can_carry`` is true."""

    def _lr_factor(self, step: int, progress: float) -> float:
        """Return the factor of the learning rate at an update, counted from 0, and at this progress."""
        del step, progress
        return 1.0
