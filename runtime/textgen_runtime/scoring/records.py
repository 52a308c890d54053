"""The surprisal of records, each from the initial state: from the token ``begin`` to the token ``end``."""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from textgen_runtime.engines.base import Engine
from textgen_runtime.text.special_tokens import SpecialTokens

from .surprisals import MAX_LOGITS, batch_surprisals

# Maximum number of records that are scored together. Larger batches are not faster.
MAX_LANES = 64

# Maximum number of tokens that are scored together, which bounds the memory. A longer record is scored alone.
MAX_TOKENS = 2**20

# Records are scored together if the longest has at most this number of tokens more than twice those of the
# shortest, so that padding takes little time.
MAX_PADDING = 32


class RecordScore(NamedTuple):
    """The score of a model on records.

    Attributes:
        total_nats: Sum of the surprisals of all tokens, in nats. The end of each record is one of them.
        positions: Number of these tokens: one more than its own tokens for each record.
    """

    total_nats: float
    positions: int


class RecordSurprisals(NamedTuple):
    """The prediction of one record.

    Attributes:
        number: The index of the record.
        surprisals: Negative natural-log probability of each token, the last of which is ``end``, in nats.
            Shape [tokens + 1], float64.
        choices: The most likely tokens, int64, of the same shape.
    """

    number: int
    surprisals: NDArray[np.float64]
    choices: NDArray[np.int64]


def score_records(engine: Engine, records: Sequence[Sequence[int]], special: SpecialTokens) -> RecordScore:
    """Score records. Arguments are those of ``record_surprisals``.

    The result is not finite if a logit is not finite.
    """
    totals, positions = [], 0
    for record in record_surprisals(engine, records, special):
        # The sum of the totals is rounded only once, so it does not depend on their order.
        totals.append(math.fsum(record.surprisals))
        positions += len(record.surprisals)
    return RecordScore(math.fsum(totals), positions)


def record_surprisals(
    engine: Engine, records: Sequence[Sequence[int]], special: SpecialTokens
) -> Iterator[RecordSurprisals]:
    """Yield the prediction of each record, in any order.

    Args:
        engine: The engine of the model. Each record starts from its initial state.
        records: The tokens of each record, without ``begin`` and ``end``.
        special: The special tokens of the model.

    Raises:
        ValueError: If ``special`` has no ``begin`` and ``end``.
    """
    if special.begin is None or special.end is None:
        raise ValueError("only a model with the tokens begin and end can score records")
    lanes = max(1, min(MAX_LANES, MAX_LOGITS // engine.vocabulary_size))
    for group in _similar_lengths([len(record) for record in records], lanes):
        lengths = [len(records[i]) for i in group]
        # Tokens after the end of a record have no effect on those before it.
        tokens = np.full((max(lengths) + 2, len(group)), special.end, np.int64)
        tokens[0] = special.begin
        for lane, (i, length) in enumerate(zip(group, lengths, strict=True)):
            tokens[1 : 1 + length, lane] = records[i]
        surprisals, choices = batch_surprisals(engine, tokens)
        for lane, (i, length) in enumerate(zip(group, lengths, strict=True)):
            yield RecordSurprisals(i, surprisals[: length + 1, lane], choices[: length + 1, lane])


def _similar_lengths(lengths: Sequence[int], lanes: int) -> Iterator[list[int]]:
    """Yield the indices of records in groups of up to ``lanes`` similar lengths, the longest first."""
    order = sorted(range(len(lengths)), key=lambda i: -lengths[i])
    start = 0
    while start < len(order):
        longest = lengths[order[start]]
        limit = min(lanes, max(1, MAX_TOKENS // (longest + 2)))
        group = [i for i in order[start : start + limit] if longest <= 2 * lengths[i] + MAX_PADDING]
        yield group
        start += len(group)
