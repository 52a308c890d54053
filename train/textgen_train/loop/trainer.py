"""The base class of both trainers. It makes updates until the budget is used up.

A trainer defines its batches, its optimizers, its text order and its update. If it carries a state from batch
to batch, or has a schedule of the learning rate, it defines these too.
"""

import contextlib
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterator, Sequence
from time import perf_counter
from typing import Any, Literal

import torch
from torch import Tensor

from textgen_train.data.batches import Batch
from textgen_train.errors import LossError, TrainingError
from textgen_train.models.network import are_alike, concatenate_lanes
from textgen_train.optim.optimizer_state import is_compatible, optimizer_state, restore_optimizer_state
from textgen_train.recipe import Budget

from .checkpoint import TrainerState, torch_rng_from_state
from .events import Update
from .ranks import DismissedError, RankState, RestoredError
from .replicas import Replicas, single_threaded_operations


class Trainer(ABC):
    """Trains a new model on a text.

    Args:
        replicas: Replicas of the network, with its initial weights.
        budget: Duration of the training.
        updates_per_epoch: Number of batches per epoch.
        tokens_per_epoch: Number of input tokens per epoch.
        learning_rate: Learning rate of the recipe, before the schedule.

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
        budget: Budget,
        updates_per_epoch: int,
        tokens_per_epoch: int,
        learning_rate: float,
    ) -> None:
        self.replicas, self.model, self.budget = replicas, replicas.model, budget
        self.reserved_seconds = 0.0
        self.updates_per_epoch, self.tokens_per_epoch = updates_per_epoch, tokens_per_epoch
        self._base_lr = learning_rate
        self._step = 0
        self._is_updating = False
        # State of the generator of the text order at the start of the epoch of the next update.
        self._epoch_order_rng_state = self._order_rng_state()
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
                yield from self._updates()
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

        Args:
            check_interrupt: Called after each update. If it raises KeyboardInterrupt, the first process is
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
            optimizers=optimizer_state(self._all_optimizers(), self.model),
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
        own_rngs = self.replicas.own(state.dropout_rngs)
        rngs = [torch_rng_from_state(rng, self.model.device) for rng in own_rngs]
        self._restore_order_rng(state.order_rng)
        self.replicas.restore_rngs(rngs)
        with torch.no_grad():
            for name, weight in weights.items():
                weight.copy_(state.weights[name])
        restore_optimizer_state(self._all_optimizers(), self.model, state.optimizers)
        self._restore_carried_state(state.carried_state)
        self._step, self._epoch_order_rng_state = state.step, self._order_rng_state()
        self._seconds_before, self._is_updating = state.seconds, False

    def _check_compatible(self, state: TrainerState, weights: dict[str, torch.nn.Parameter]) -> None:
        if not are_alike(state.weights, weights):
            raise TrainingError(
                "the training state is from another network, because its weights differ in name or shape: "
                "use the same text and recipe"
            )
        replicas = len(state.dropout_rngs)
        if replicas != self.replicas.total:
            if not replicas:
                raise TrainingError("the training state is damaged: it has no replicas")
            raise TrainingError(
                f"the training state has {replicas} replicas, but this trainer has {self.replicas.total}: "
                f"train with {self.replicas.describe_divisions(replicas)}"
            )
        if not self._can_carry(state.carried_state):
            raise TrainingError(
                "the training state has another number of lanes: use the same text and recipe"
            )
        optimizers = state.optimizers
        if bool(optimizers) != bool(state.step) or not is_compatible(
            self._all_optimizers(), self.model, optimizers
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
        while True:
            self._restore_order_rng(self._epoch_order_rng_state)
            for batch in self._batches(self._step % self.updates_per_epoch):
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

    def _seconds(self) -> float:
        """Return the time since the first update began."""
        return self._seconds_before if self._started is None else perf_counter() - self._started

    def _progress(self) -> float:
        """Return the fraction of the budget that is used."""
        return self.budget.progress(
            self._seconds(), self._step / self.updates_per_epoch, self.reserved_seconds
        )

    def _updates(self) -> Iterator[Update]:
        # Make at least one update, even if the time is too short for it.
        while not self._step or self._progress() < 1.0:
            # An earlier call may have begun this epoch. Continue it in the same order.
            self._restore_order_rng(self._epoch_order_rng_state)
            for batch in self._batches(self._step % self.updates_per_epoch):
                update = self._update(batch)
                yield update
                if update.progress >= 1.0 or self._progress() >= 1.0:
                    return

    def _update(self, batch: Batch) -> Update:
        # The time that the caller spent since the last update counts towards a budget of minutes.
        lr_factor = self._lr_factor(self._step, self._progress())
        self._is_updating = True
        nats = self._update_weights(batch, lr_factor)
        if not math.isfinite(nats):
            raise LossError(f"the loss is {nats} at update {self._step + 1}: try lower learning rates")
        self._step += 1
        if self._step % self.updates_per_epoch == 0:
            self._epoch_order_rng_state = self._order_rng_state()
        self._is_updating = False
        return Update(
            step=self._step,
            epochs=self._step / self.updates_per_epoch,
            seconds=self._seconds(),
            progress=self._progress(),
            learning_rate=lr_factor * self._base_lr,
            targets=batch.count,
            nats=nats,
            ends_epoch=self._step % self.updates_per_epoch == 0,
        )

    @abstractmethod
    def _batches(self, first: int = 0) -> Iterator[Batch]:
        """Yield the batches of one epoch, of which there are ``updates_per_epoch``, on the processor.

        Args:
            first: Index of the first batch to yield. Skipping batches does not change the text order.
        """

    @abstractmethod
    def _all_optimizers(self) -> Sequence[torch.optim.Optimizer]:
        """Return all optimizers."""

    @abstractmethod
    def _order_rng_state(self) -> Tensor | list[Any]:
        """Return a copy of the state of the generator of the text order: lane offsets or permutations."""

    @abstractmethod
    def _restore_order_rng(self, state: Tensor | list[Any]) -> None:
        """Continue with a generator in this state.

        Raises:
            TrainingError: If this is not the state of such a generator.
        """

    @abstractmethod
    def _update_weights(self, batch: Batch, lr_factor: float) -> float:
        """Make one update of the weights.

        Args:
            batch: A batch of ``_batches``.
            lr_factor: Result of ``_lr_factor``.

        Returns:
            Mean loss per target in nats, before the update.
        """

    def _carried_state(self) -> dict[str, Tensor]:
        """Return a copy of the state of the lanes of this process after the last update, by name.

        Dimension 1 is the lane. Without a state that is carried from batch to batch, the dict is empty.
        """
        return {}

    def _can_carry(self, state: dict[str, Tensor]) -> bool:
        """Return whether this can be the state of all lanes of a batch, by its names and shapes."""
        return not state

    def _restore_carried_state(self, state: dict[str, Tensor]) -> None:  # noqa: B027 (a default)
        """Continue from a copy of this state of all lanes, for which ``_can_carry`` is true."""

    def _lr_factor(self, step: int, progress: float) -> float:
        """Return the factor by which the schedule multiplies the learning rate; 1 without a schedule.

        Args:
            step: Index of the update, from 0.
            progress: Fraction of the budget used, in [0, 1].
        """
        del step, progress
        return 1.0
