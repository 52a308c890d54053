"""What a trainer defines beside the loop of updates: its batches, optimizers, schedule and state."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from textgen_train.data.batching import Batch


class TrainingMethod(ABC):
    """The operations that ``StatefulTrainer`` and ``ClassicTrainer`` define. ``Trainer`` calls them."""

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
    def _carried_state(self) -> dict[str, Tensor]:
        """Return a copy of the state of the lanes of this process after the last update, by name.

        Dimension 1 is the lane.
        """

    @abstractmethod
    def _can_carry(self, state: dict[str, Tensor]) -> bool:
        """Return whether this can be the state of all lanes of a batch, by its names and shapes."""

    @abstractmethod
    def _restore_carried_state(self, state: dict[str, Tensor]) -> None:
        """Continue from a copy of this state of all lanes, for which ``_can_carry`` is true."""

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
    def _lr_factor(self, step: int, progress: float) -> float:
        """Return the factor by which the schedule multiplies the learning rate.

        Args:
            step: Index of the update, from 0.
            progress: Fraction of the budget used, in [0, 1].
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
