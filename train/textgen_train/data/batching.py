"""Batches for truncated backpropagation through time: parallel lanes of a text, cut into sequences."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from .token_array import Tokens, release_pages

# Number of batches after which the memory that is mapped to a large text is released.
RELEASE_INTERVAL = 1024


def lane_count(characters: int, batch: int, sequence_length: int) -> int:
    """Return the number of lanes for a text, from 1 to ``batch``.

    If there is more than one lane, each of them holds at least one sequence of full length.
    """
    return max(1, min(batch, characters // (sequence_length + 1)))


def batches(
    tokens: Tokens, lanes: int, sequence_length: int, offset: int, first: int = 0
) -> Iterator[tuple[Tensor, Tensor]]:
    """Iterate over one epoch of a text that is cut into contiguous lanes of equal length.

    A batch has the next sequence of each lane. It begins where the previous batch ended, so the LSTM state
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
