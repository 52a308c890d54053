"""Batches for truncated backpropagation through time: parallel lanes of a text, cut into sequences."""

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from .token_array import Tokens, release_pages

# Number of batches after which the memory that is mapped to a large text is released.
RELEASE_INTERVAL = 1024

# A target that is no token: the record of this lane has ended.
PADDING = -1


@dataclass(frozen=True)
class Batch:
    """The data of one update.

    Attributes:
        inputs: Tokens, shape [time, lanes], int64.
        targets: The next token of each input, int64, of the same shape; ``PADDING`` where there is none. For
            ``ClassicTrainer``, only the token after the last input, shape [lanes].
        count: Number of targets without padding, at least 1.
        is_start: Whether each lane starts from the initial state. Otherwise it continues the previous batch,
            which has the same number of lanes.
    """

    inputs: Tensor
    targets: Tensor
    count: int
    is_start: bool


class Batches(Protocol):
    """The batches of a training text, epoch by epoch. Each epoch has the same number of batches.

    Attributes:
        max_lanes: Largest number of lanes of a batch.
        has_equal_lanes: Whether all batches have this number of lanes.
        updates_per_epoch: Number of batches per epoch.
        targets_per_update: Mean number of targets of a batch. The sum of the losses of each batch is divided
            by it, so that all targets of an epoch count the same, also those of a batch with few targets.
    """

    max_lanes: int
    has_equal_lanes: bool
    updates_per_epoch: int
    targets_per_update: float

    def epoch(self, rng: random.Random, first: int = 0) -> Iterator[Batch]:
        """Yield the batches of an epoch.

        Args:
            rng: Generator of the order of the text. All draws are made before the first batch.
            first: Index of the first batch to yield. It does not change the order.
        """
        ...


class TextBatches:
    """The batches of a continuous text, which is cut into lanes of equal length.

    Args:
        tokens: Shape [tokens]; at least two.
        batch: Maximum number of lanes.
        sequence_length: Time steps per batch.
    """

    has_equal_lanes = True

    def __init__(self, tokens: Tokens, batch: int, sequence_length: int) -> None:
        self._tokens, self._sequence_length = tokens, sequence_length
        self.max_lanes = lane_count(len(tokens), batch, sequence_length)
        targets = len(tokens) // self.max_lanes - 1
        self.updates_per_epoch = math.ceil(targets / sequence_length)
        self.targets_per_update = self.max_lanes * targets / self.updates_per_epoch

    def epoch(self, rng: random.Random, first: int = 0) -> Iterator[Batch]:
        """Yield the batches of an epoch. The lanes start at a random offset."""
        offset = rng.randrange(len(self._tokens))
        pairs = batches(self._tokens, self.max_lanes, self._sequence_length, offset, first)
        for index, (inputs, targets) in enumerate(pairs, first):
            yield Batch(inputs, targets, targets.numel(), is_start=index == 0)


def lane_count(characters: int, batch: int, sequence_length: int) -> int:
    """Return the number of lanes for a text, from 1 to ``batch``.

    If there is more than one lane, each of them holds at least one sequence of full length.
    """
    return max(1, min(batch, characters // (sequence_length + 1)))


def batches(
    tokens: Tokens, lanes: int, sequence_length: int, offset: int, first: int = 0
) -> Iterator[tuple[Tensor, Tensor]]:
    """Iterate over one epoch of a text that is cut into contiguous lanes of equal length.

    A batch has the next sequence of each lane. It begins where the previous batch ended, so the state
    can be carried from batch to batch. Every character of a lane except the first is a target once, and its
    context is all earlier characters of the lane. Overlapping windows would need ``sequence_length`` time
    steps per target. Up to ``lanes - 1`` characters at the end of the text are unused.

    Args:
        tokens: Shape [characters], of any integer type. Only one batch at a time is copied from it.
        lanes: Number of lanes.
        sequence_length: Time steps per batch; the last batch may be shorter.
        offset: Index of the character at which the first lane starts; the text wraps around at its end. A
            different offset in each epoch moves the boundaries between the lanes.
        first: Index of the first batch.

    Yields:
        Inputs and targets, each of shape [time, lanes], int64. The targets are the inputs shifted by one
        character.
    """
    length = len(tokens) // lanes
    lane_starts = offset + length * np.arange(lanes)
    for index, start in enumerate(range(first * sequence_length, length - 1, sequence_length)):
        steps = np.arange(start, min(start + sequence_length + 1, length))
        columns = np.take(tokens, steps[:, np.newaxis] + lane_starts, mode="wrap").astype(np.int64)
        if index % RELEASE_INTERVAL == 0:
            release_pages(tokens)
        sequence = torch.from_numpy(columns)
        yield sequence[:-1], sequence[1:]
