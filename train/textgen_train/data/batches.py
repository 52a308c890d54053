"""Batches for truncated backpropagation through time.

A continuous text is cut into parallel lanes, and each lane into sequences. Records are grouped with others of
similar length, and padded to equal length.
"""

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from textgen_runtime.tokenizer import SpecialTokens
from torch import Tensor

from .tokens import RELEASE_INTERVAL, Tokens, record_ends, record_parts, release_pages

# A target that is no token: the record of this lane has ended.
PADDING = -1

WITHOUT_POSITIONS = torch.empty(0, dtype=torch.int64)


@dataclass(frozen=True)
class Batch:
    """The data of one update.

    Attributes:
        inputs: Tokens, shape [time, lanes], int64.
        targets: The next token of each input, int64, of the same shape; ``PADDING`` where there is none.
        count: Number of targets without padding, at least 1.
        is_start: Whether each lane starts from the initial state. Otherwise it continues the previous batch,
            which has the same number of lanes.
        divisor: The sum of the losses is divided by this number. It is the mean number of targets of a batch
            if all targets of an epoch count the same, also those of a batch with few targets.
        positions: Where in the text each target is, int64, of the same shape; any place where there is none.
            The batches of the classic recipe, which has no teachers, are without positions.
    """

    inputs: Tensor
    targets: Tensor
    count: int
    is_start: bool
    divisor: float
    positions: Tensor = WITHOUT_POSITIONS


class Batches(Protocol):
    """The batches of a training text, epoch by epoch. Each epoch has the same number of batches."""

    max_lanes: int
    has_equal_lanes: bool
    updates_per_epoch: int
    tokens_per_epoch: int

    def epoch(self, seed: int, first: int = 0) -> Iterator[Batch]:
        """Yield the batches of an epoch, on the processor.

        Args:
            seed: Seed of the order of the text, in [0, 2**56).
            first: Index of the first batch to yield. It does not change the order.
        """
        ...


class TextBatches:
    """The batches of a continuous text, which is cut into contiguous lanes of equal length.

    A batch has the next sequence of each lane. It begins where the previous batch ended, so the state can be
    carried from batch to batch. Every character of a lane except the first is a target once, and its context
    is all earlier characters of the lane. Overlapping windows would need ``sequence_length`` time steps per
    target. Up to ``max_lanes - 1`` characters at the end of the text are unused.

    Args:
        tokens: Shape [tokens], of any integer type; at least two. Only one batch at a time is copied.
        batch: Maximum number of lanes. If there is more than one, each holds at least one full sequence.
    """

    has_equal_lanes = True

    def __init__(self, tokens: Tokens, batch: int, sequence_length: int) -> None:
        self._tokens, self._sequence_length = tokens, sequence_length
        self.max_lanes = max(1, min(batch, len(tokens) // (sequence_length + 1)))
        self._length = len(tokens) // self.max_lanes
        self.updates_per_epoch = math.ceil((self._length - 1) / sequence_length)
        self.tokens_per_epoch = len(tokens)
        self._targets_per_update = self.max_lanes * (self._length - 1) / self.updates_per_epoch

    def epoch(self, seed: int, first: int = 0) -> Iterator[Batch]:
        """Yield the batches of an epoch.

        The first lane starts at a random character, and the text wraps around at its end, so that the borders
        of the lanes move from epoch to epoch.
        """
        lane_starts = random.Random(seed).randrange(len(self._tokens)) + self._length * np.arange(
            self.max_lanes
        )
        for index in range(first, self.updates_per_epoch):
            start = index * self._sequence_length
            steps = np.arange(start, min(start + self._sequence_length + 1, self._length))
            places = (steps[:, np.newaxis] + lane_starts) % len(self._tokens)
            columns = self._tokens[places].astype(np.int64)
            if index % RELEASE_INTERVAL == 0:
                release_pages(self._tokens)
            sequence = torch.from_numpy(columns)
            inputs, targets = sequence[:-1], sequence[1:]
            yield Batch(
                inputs,
                targets,
                targets.numel(),
                is_start=index == 0,
                divisor=self._targets_per_update,
                positions=torch.from_numpy(places[1:]),
            )


# Records are grouped with others up to this number of targets, then up to 1.5 times as many, and so on.
SHORTEST_LIMIT = 8
LIMIT_GROWTH = 1.5

# Maximum number of tokens of the records that are shuffled together, which bounds the memory. A longer record
# is alone.
MAX_SHUFFLED_TOKENS = 2**22


class RecordBatches:
    """The batches of records.

    A group is a set of records of similar length, each of which is a lane. It is one batch, or several if the
    records are longer than a sequence. All lanes of a group start from the initial state. A group has about
    as many targets per batch as a batch of a continuous text.

    The groups are drawn anew in each epoch. The number of batches stays the same, because the longest records
    of each range of lengths are in different groups. A very long list is shuffled in parts.

    Args:
        tokens: The tokens of all records, each followed by ``end``; shape [tokens].
        batch: Number of lanes of records of ``sequence_length`` targets.
    """

    has_equal_lanes = False

    def __init__(self, tokens: Tokens, special: SpecialTokens, batch: int, sequence_length: int) -> None:
        if special.begin is None or special.end is None:
            raise ValueError("records need the tokens begin and end")
        self._tokens, self._begin, self._end = tokens, special.begin, special.end
        self._batch, self._sequence_length = batch, sequence_length
        self._bounds = list(record_parts(tokens, special.end, MAX_SHUFFLED_TOKENS))
        self._part_updates: list[int] = []
        self.max_lanes = 0
        for bounds in self._bounds:
            ranges = self._length_ranges(self._read_part(bounds))
            self._part_updates.append(sum(int(part.group_updates.sum()) for part in ranges))
            self.max_lanes = max(self.max_lanes, *(-(-len(part.order) // part.groups) for part in ranges))
            release_pages(tokens)
        self.updates_per_epoch, self.tokens_per_epoch = sum(self._part_updates), len(tokens)
        self._targets_per_update = len(tokens) / self.updates_per_epoch

    def epoch(self, seed: int, first: int = 0) -> Iterator[Batch]:
        """Yield the batches of an epoch, in which groups and their order are drawn anew."""
        # The order of each part has a generator of its own, so that parts before `first` are not read.
        for part in torch.randperm(len(self._bounds), generator=_generator(seed)).tolist():
            updates = self._part_updates[part]
            if first < updates:
                yield from self._part_batches(self._bounds[part], _generator(seed + 1 + part), first)
            first = max(0, first - updates)
            release_pages(self._tokens)

    def _part_batches(
        self, bounds: tuple[int, int], generator: torch.Generator, first: int
    ) -> Iterator[Batch]:
        records = self._read_part(bounds)
        groups = [group for part in self._length_ranges(records) for group in part.draw_groups(generator)]
        for index in torch.randperm(len(groups), generator=generator).tolist():
            group = groups[index]
            updates = -(-int(records.counts[group].max()) // self._sequence_length)
            for update in range(first, updates):
                yield self._make_batch(records.starts[group], records.counts[group], update)
            first = max(0, first - updates)

    def _make_batch(self, starts: NDArray[np.int64], counts: NDArray[np.int64], index: int) -> Batch:
        """Return a batch of a group.

        Args:
            starts: Index of the first token of each record, shape [lanes].
            counts: Number of targets of each record, shape [lanes].
        """
        begin = index * self._sequence_length
        time = min(self._sequence_length, int(counts.max()) - begin)
        steps = np.arange(begin, begin + time)[:, np.newaxis]
        is_target = steps < counts
        positions = starts + np.minimum(steps, counts - 1)
        targets = np.where(is_target, self._tokens[positions], np.int64(PADDING)).astype(np.int64)
        inputs = self._tokens[positions - 1].astype(np.int64)
        if not index:
            inputs[0] = self._begin
        return Batch(
            torch.from_numpy(inputs),
            torch.from_numpy(targets),
            int(is_target.sum()),
            is_start=not index,
            divisor=self._targets_per_update,
            positions=torch.from_numpy(positions),
        )

    def _read_part(self, bounds: tuple[int, int]) -> "_Part":
        start, stop = bounds
        ends = record_ends(self._tokens[start:stop], self._end) + start
        starts = np.concatenate([[start], ends[:-1]])
        return _Part(starts, ends - starts)

    def _length_ranges(self, records: "_Part") -> "Sequence[_LengthRange]":
        """Return the records of a part by their length, each range in order of decreasing length."""
        order = np.argsort(-records.counts, kind="stable")
        counts = records.counts[order]
        ranges: list[_LengthRange] = []
        limit = float(SHORTEST_LIMIT)
        stop = len(order)
        while stop:
            start = int(np.searchsorted(-counts[:stop], -limit))
            if start < stop:
                ranges.append(self._length_range(order[start:stop], counts[start:stop]))
            stop, limit = start, limit * LIMIT_GROWTH
        return ranges

    def _length_range(self, order: NDArray[np.int64], counts: NDArray[np.int64]) -> "_LengthRange":
        time = min(self._sequence_length, int(counts[0]))
        lanes = max(1, round(self._batch * self._sequence_length / time))
        groups = -(-len(order) // lanes)
        return _LengthRange(order, groups, -(-counts[:groups] // self._sequence_length))


class _Part(NamedTuple):
    """Records that are shuffled together.

    Attributes:
        starts: Index of the first token of each record; shape [records], int64.
        counts: Number of targets of each record, one more than it has tokens; shape [records], int64.
    """

    starts: NDArray[np.int64]
    counts: NDArray[np.int64]


class _LengthRange(NamedTuple):
    """Records of similar length.

    Attributes:
        order: Indices of the records, the longest first; shape [records], int64.
        group_updates: Number of batches of each group; shape [groups], int64.
    """

    order: NDArray[np.int64]
    groups: int
    group_updates: NDArray[np.int64]

    def draw_groups(self, generator: torch.Generator) -> list[NDArray[np.int64]]:
        """Divide the records into groups of about equal size at random; return their indices.

        The first record of each group is its longest.
        """
        others = self.order[self.groups :]
        shuffled = others[torch.randperm(len(others), generator=generator).numpy()]
        return [
            np.concatenate([self.order[i : i + 1], part])
            for i, part in enumerate(np.array_split(shuffled, self.groups))
        ]


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)
