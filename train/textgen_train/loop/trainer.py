"""The trainer. It makes updates until the budget is used up.

The recipes differ in their batches, networks, optimizers and learning rates: see ``default_setup.py`` and
``classic_setup.py``.
"""

import contextlib
import math
from collections.abc import Callable, Generator, Iterator
from time import perf_counter

import torch
from textgen_runtime.tokenizer import NO_SPECIAL_TOKENS, SpecialTokens

from textgen_train.data.batches import Batch
from textgen_train.data.predictions import Predictions
from textgen_train.data.tokens import Tokens
from textgen_train.errors import LossError, TrainingError
from textgen_train.models.device import CPU
from textgen_train.models.network import are_alike, concatenate_lanes
from textgen_train.optim import is_compatible, optimizer_state, restore_optimizer_state
from textgen_train.recipe import AnyRecipe, Budget, ClassicRecipe

from .checkpoint import TrainerState
from .classic_setup import classic_setup
from .default_setup import default_setup
from .events import Update
from .learner import Learner
from .ranks import SINGLE, DismissedError, Ranks
from .replicas import Replicas, resolve_thread_count, single_threaded_operations
from .seeds import derive_seed


class Trainer:
    """Trains a new model on a text.

    The text is cut into contiguous lanes, which form the batch. Each update uses the next sequence of each
    lane and starts from the state at the end of the previous sequence: truncated backpropagation through
    time (R. J. Williams and J. Peng, Neural Computation 2(4), 1990). Records are lanes of their own, which
    start from the initial state, and so are the windows of the classic recipe.

    Args:
        text: Shape [tokens], of any integer type; at least two tokens, and for the classic recipe more than a
            window. With records, each is followed by the token ``end``.
        vocabulary_size: Number of tokens.
        recipe: Hyperparameters.
        budget: Duration of the training.
        seed: Seed of the initial weights, the order of the text, and dropout. With a budget of epochs, the
            same machine and the same number of threads, a seed reproduces the model. With a budget of
            minutes, the model depends on the speed of the machine.
        special: The special tokens. The text has records if there are ``begin`` and ``end``.
        threads: Maximum number of replicas that train in parallel in this process; None for one per available
            processor.
        device: Device of the network.
        ranks: The processes of the run.

    Raises:
        ValueError: If the text is too short, or ``threads`` is below 1.
        TrainingError: If there are too many processes for the lanes.

    Attributes:
        replicas: Replicas of the network.
        model: The network.
        budget: Duration of the training.
        reserved_seconds: Seconds of a budget of minutes that are reserved for the last evaluation.
        updates_per_epoch: Number of batches per epoch.
        tokens_per_epoch: Number of input tokens per epoch.
    """

    def __init__(  # noqa: PLR0913 (five are needed; four have defaults)
        self,
        text: Tokens,
        vocabulary_size: int,
        recipe: AnyRecipe,
        budget: Budget,
        seed: int,
        *,
        special: SpecialTokens = NO_SPECIAL_TOKENS,
        threads: int | None = None,
        device: torch.device = CPU,
        ranks: Ranks = SINGLE,
    ) -> None:
        # The initial weights are drawn on the processor, so that they do not depend on the device.
        torch.manual_seed(derive_seed(seed, "weights"))
        batches, self.model, make_optimizers, self._lr_factor = (
            classic_setup(text, vocabulary_size, recipe)
            if isinstance(recipe, ClassicRecipe)
            else default_setup(text, vocabulary_size, recipe, special)
        )
        self.model.to(device)
        threads = resolve_thread_count(threads, ranks)
        self.replicas = Replicas(self.model, batches.max_lanes, threads, ranks)
        self.budget, self.reserved_seconds = budget, 0.0
        self.updates_per_epoch, self.tokens_per_epoch = batches.updates_per_epoch, batches.tokens_per_epoch
        self._seed, self._batches = seed, batches
        self._optimizers = make_optimizers()
        self._learner = Learner(self.replicas, self._optimizers, recipe, batches.max_lanes)
        self._step = 0
        self._is_updating = False
        # The time that was counted before.
        self._seconds_before = 0.0
        # Start of the current time, moved back by the time before; None while no time is counted.
        self._started: float | None = None

    def learn_from(self, predictions: Predictions, weight: float) -> None:
        """Also learn from the predictions of other models, beside the text. Call it before ``updates``.

        They are no part of the state of the trainer.

        Args:
            predictions: The predictions for the text.
            weight: Share of the predictions in the distribution that each target has, in [0, 1].
        """
        self._learner.learn_from(predictions, weight)

    @property
    def step(self) -> int:
        """Number of updates so far."""
        return self._step

    @property
    def progress(self) -> float:
        """Fraction of the budget that is used, in [0, 1]."""
        return self.budget.progress(
            self._seconds(), self._step / self.updates_per_epoch, self.reserved_seconds
        )

    @property
    def is_finished(self) -> bool:
        """Whether no update is left. At least one is made, even if the time is too short for it."""
        return self._step > 0 and self.progress >= 1.0

    @contextlib.contextmanager
    def counting_seconds(self) -> Iterator[None]:
        """Count the time within this context towards a budget of minutes, as during ``updates``."""
        if self._started is not None:
            yield
            return
        self._started = perf_counter() - self._seconds_before
        try:
            yield
        finally:
            self._seconds_before, self._started = self._seconds(), None

    def updates(self) -> Generator[Update, None, None]:
        """Train until the budget is used up, and yield after each update.

        The caller's time between updates counts towards a budget of minutes. While the iterator is active,
        all operations of torch are single-threaded, because the replicas run in parallel. This includes the
        operations of the caller. Another call continues after the last update.

        Raises:
            LossError: If the loss is NaN or infinite.
        """
        with self.counting_seconds(), single_threaded_operations():
            if self.is_finished:
                return
            for batch in self._later_batches():
                update = self._update(batch)
                yield update
                if update.progress >= 1.0 or self.progress >= 1.0:
                    return

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

    def follow(self, check_interrupt: Callable[[], None] | None = None) -> None:
        """Make the updates that the first process of the run decides, until it ends the run.

        Args:
            check_interrupt: Called after each update. If it raises KeyboardInterrupt, the first process is
                told, and this process continues until the first one ends the run. None checks nothing.

        Raises:
            LostProcessError: If another process has ended.
        """
        with single_threaded_operations(), contextlib.suppress(DismissedError):
            self._follow_updates(check_interrupt or (lambda: None))

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
        parts = self.replicas.ranks.gather(self._learner.carried_state)
        return TrainerState(
            step=self._step,
            seed=self._seed,
            replicas=self.replicas.total,
            seconds=self._seconds(),
            weights={
                name: weight.detach().to("cpu", copy=True)
                for name, weight in self._trained_parameters().items()
            },
            optimizers=optimizer_state(self._optimizers, self.model),
            carried_state=concatenate_lanes(parts),
        )

    def restore(self, state: TrainerState) -> None:
        """Copy a state into this trainer. The next call of ``updates`` continues from it.

        With a budget of epochs, on the same machine and with the same versions, the final weights are
        identical to the bit to those of an uninterrupted run.

        If the run has several processes, all of them restore the same state before ``Ranks.begin``.

        Args:
            state: State of a trainer with the same text, recipe and number of replicas in all processes.

        Raises:
            TrainingError: If the state does not fit this trainer, which stays unchanged.
            RuntimeError: If an iterator of ``updates`` is active.
        """
        if self._started is not None:
            raise RuntimeError("cannot restore a trainer during updates(): restore it before or after")
        weights = self._trained_parameters()
        self._check_compatible(state, weights)
        with torch.no_grad():
            for name, weight in weights.items():
                weight.copy_(state.weights[name])
        restore_optimizer_state(self._optimizers, self.model, state.optimizers)
        self._learner.restore_carried_state(state.carried_state)
        self._step, self._seed, self._seconds_before = state.step, state.seed, state.seconds
        self._is_updating = False

    def _check_compatible(self, state: TrainerState, weights: dict[str, torch.nn.Parameter]) -> None:
        if not are_alike(state.weights, weights):
            raise TrainingError(
                "the training state is from another network, because its weights differ in name or shape: "
                "use the same text and recipe"
            )
        if not self._learner.can_carry(state.carried_state, has_equal_lanes=self._batches.has_equal_lanes):
            raise TrainingError(
                "the training state has another number of lanes: use the same text and recipe"
            )
        optimizers = state.optimizers
        if bool(optimizers) != bool(state.step) or not is_compatible(
            self._optimizers, self.model, optimizers
        ):
            raise TrainingError("the training state is from another optimizer: use the same recipe")
        self.replicas.check_total(state.replicas)

    def _trained_parameters(self) -> dict[str, torch.nn.Parameter]:
        return {name: weight for name, weight in self.model.named_parameters() if weight.requires_grad}

    def _follow_updates(self, check_interrupt: Callable[[], None]) -> None:
        ranks = self.replicas.ranks
        ranks.keep_state(self._learner.carried_state)
        for batch in self._later_batches():
            try:
                self._update(batch)
            except LossError as error:
                # The first process has the same error and reports it.
                raise DismissedError from error
            ranks.keep_state(self._learner.carried_state)
            try:
                check_interrupt()
            except KeyboardInterrupt:
                ranks.report_interrupt()

    def _later_batches(self) -> Iterator[Batch]:
        """Yield the batches after the last update, epoch by epoch, without end."""
        while True:
            # An earlier call may have begun this epoch. Continue it in the same order.
            epoch, first = divmod(self._step, self.updates_per_epoch)
            yield from self._batches.epoch(derive_seed(self._seed, "order", epoch), first)

    def _seconds(self) -> float:
        """Return the time since the first update began."""
        return self._seconds_before if self._started is None else perf_counter() - self._started

    def _update(self, batch: Batch) -> Update:
        # The time that the caller spent since the last update counts towards a budget of minutes.
        lr_factor = self._lr_factor(self._step, self.progress)
        self._is_updating = True
        self.replicas.seed_dropout(self._seed, self._step)
        nats = self._learner.update(batch, lr_factor)
        if not math.isfinite(nats):
            raise LossError(f"the loss is {nats} at update {self._step + 1}: try lower learning rates")
        self._step += 1
        self._is_updating = False
        return Update(
            step=self._step,
            epochs=self._step / self.updates_per_epoch,
            seconds=self._seconds(),
            progress=self.progress,
            learning_rate=lr_factor * self._optimizers[0].defaults["lr"],
            targets=batch.count,
            nats=nats,
            ends_epoch=self._step % self.updates_per_epoch == 0,
        )
