"""A long text as parallel streams, read slice by slice."""

from collections.abc import Iterator

from torch import Tensor


def lane_count(characters: int, batch: int, sequence_length: int) -> int:
    """How many streams a text is long enough for: each should hold a whole slice, and one must exist."""
    return max(1, min(batch, characters // (sequence_length + 1)))


def sequences(
    tokens: Tensor, streams: int, sequence_length: int, offset: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """One pass over a text that is cut into contiguous streams of equal length.

    Slice after slice, each stream goes on where it left off, so that the state can be carried: every
    character but a stream's first is a target once, with all of the stream before it for context.
    Windows that overlap would need as many steps for a single target as they are long.

    Args:
        tokens: Shape [characters].
        streams: How many streams to cut.
        sequence_length: Steps in a slice; the last one may be shorter.
        offset: The character that the first stream starts from, the text being taken as a ring: a new
            offset each pass moves all the seams.

    Yields:
        Inputs and targets, the same text one character apart, each of shape [time, streams].
    """
    length = len(tokens) // streams
    ring = tokens.roll(-offset)
    columns = ring[: length * streams].view(streams, length).t().contiguous()
    for start in range(0, length - 1, sequence_length):
        end = min(start + sequence_length, length - 1)
        yield columns[start:end], columns[start + 1 : end + 1]
