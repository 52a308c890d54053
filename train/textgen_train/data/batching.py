"""Batches for truncated backpropagation through time: parallel lanes of a text, cut into sequences."""

from collections.abc import Iterator

from torch import Tensor


def lane_count(characters: int, batch: int, sequence_length: int) -> int:
    """Return the number of lanes for a text, from 1 to ``batch``.

    If there is more than one lane, each of them holds at least one sequence of full length.
    """
    return max(1, min(batch, characters // (sequence_length + 1)))


def batches(tokens: Tensor, lanes: int, sequence_length: int, offset: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Iterate over one epoch of a text that is cut into contiguous lanes of equal length.

    A batch has the next sequence of each lane. It begins where the previous batch ended, so the LSTM state
    can be carried from batch to batch. Every character of a lane except the first is a target once, and its
    context is all earlier characters of the lane. Overlapping windows would need ``sequence_length`` time
    steps per target. Up to ``lanes - 1`` characters at the end of the text are unused.

    Args:
        tokens: Shape [characters], int64.
        lanes: Number of lanes.
        sequence_length: Time steps per batch; the last batch may be shorter.
        offset: Index of the character at which the first lane starts; the text wraps around at its end. A
            different offset in each epoch moves the boundaries between the lanes.

    Yields:
        Inputs and targets, each of shape [time, lanes]. The targets are the inputs shifted by one character.
    """
    length = len(tokens) // lanes
    ring = tokens.roll(-offset)
    columns = ring[: length * lanes].view(lanes, length).t().contiguous()
    for start in range(0, length - 1, sequence_length):
        end = min(start + sequence_length, length - 1)
        yield columns[start:end], columns[start + 1 : end + 1]
