"""The surprisal of each token of sequences and of records, computed by an engine."""

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from textgen_runtime.engine import Engine
from textgen_runtime.tokenizer import SpecialTokens

# Maximum number of tokens per forward call.
CHUNK = 1024

# Maximum number of logits in memory at once: 32 MiB as float64.
MAX_LOGITS = 2**22

# Maximum number of records that are scored together. Larger batches are not faster.
MAX_LANES = 64

# Maximum number of tokens that are scored together, which bounds the memory. A longer record is scored alone.
MAX_TOKENS = 2**20

# Records are scored together if the longest has at most this number of tokens more than twice those of the
# shortest, so that padding takes little time.
MAX_PADDING = 32


def surprisals(engine: Engine, tokens: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the surprisal of each token except the first, and the most likely token at its position.

    Args:
        engine: The engine of the model. The tokens are fed once, starting from its initial state.
        tokens: Shape [tokens], int64; at least one token.

    Returns:
        The negative natural-log probability of each token given all tokens before it, float64, and the most
        likely tokens, int64. Both have shape [tokens - 1]. If a logit is not finite, the surprisal at its
        position is not finite.
    """
    token_surprisals, choices = batch_surprisals(engine, tokens[:, np.newaxis])
    return token_surprisals[:, 0], choices[:, 0]


def batch_surprisals(
    engine: Engine, tokens: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the results of ``surprisals`` for several sequences of equal length.

    Args:
        engine: The engine of the model. Each sequence starts from its initial state.
        tokens: Shape [tokens, sequences], int64; at least one token per sequence.

    Returns:
        The surprisals, float64, and the most likely tokens, int64. Shape [tokens - 1, sequences].
    """
    steps, batch = len(tokens) - 1, tokens.shape[1]
    token_surprisals = np.empty((steps, batch))
    choices = np.empty((steps, batch), np.int64)
    begin = 0
    for chunk_surprisals, chunk_choices in surprisal_chunks(engine, tokens[0], tokens[1:]):
        positions = slice(begin, begin + len(chunk_choices))
        token_surprisals[positions], choices[positions] = chunk_surprisals, chunk_choices
        begin = positions.stop
    return token_surprisals, choices


def surprisal_chunks(
    engine: Engine, before: NDArray[np.integer[Any]], tokens: NDArray[np.integer[Any]]
) -> Iterator[tuple[NDArray[np.float64], NDArray[np.int64]]]:
    """Yield the surprisals and the most likely tokens of sequences in chunks, so that memory is bounded.

    Args:
        engine: The engine of the model. Each sequence starts from its initial state.
        before: The token before each sequence, which is not scored; shape [sequences].
        tokens: Shape [tokens, sequences], of any integer type.

    Yields:
        The surprisals, float64, and the most likely tokens, int64, of the next tokens of each sequence. Shape
        [time, sequences].
    """
    from concurrent.futures import Future, ThreadPoolExecutor

    state = engine.initial_state(tokens.shape[1])
    size = max(1, min(CHUNK, MAX_LOGITS // (tokens.shape[1] * engine.vocabulary_size)))
    pending: Future[tuple[NDArray[np.float64], NDArray[np.int64]]] | None = None
    # With a large vocabulary, the exponentials take as long as the network, so they run in a second thread.
    with ThreadPoolExecutor(1, "textgen-scoring") as executor:
        for begin in range(0, len(tokens), size):
            targets = tokens[begin : begin + size].astype(np.int64)
            inputs = np.concatenate([before[np.newaxis], targets[:-1]]).astype(np.int64)
            logits, state = engine.forward(inputs, state)
            before = targets[-1]
            # At most one chunk is pending, so that memory stays bounded.
            if pending:
                yield pending.result()
            pending = executor.submit(score_logits, logits, targets)
        if pending:
            yield pending.result()


def score_logits(
    float32_logits: NDArray[np.float32], targets: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the surprisals of targets, and the most likely tokens.

    Args:
        float32_logits: Shape [time, sequences, tokens].
        targets: Shape [time, sequences], int64.

    Returns:
        The surprisals in nats, float64, and the most likely tokens, int64, of the shape of the targets. If a
        logit is not finite, the surprisal is not finite.
    """
    with np.errstate(invalid="ignore"):
        logits = float32_logits.astype(np.float64)
        logits -= logits.max(axis=2, keepdims=True)
        target_logits = np.take_along_axis(logits, targets[..., np.newaxis], axis=2)[..., 0]
        choices = logits.argmax(axis=2)
        return np.log(np.exp(logits, out=logits).sum(axis=2)) - target_logits, choices


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
    for group in similar_lengths([len(record) for record in records], lanes):
        lengths = [len(records[i]) for i in group]
        # Tokens after the end of a record have no effect on those before it.
        tokens = np.full((max(lengths) + 2, len(group)), special.end, np.int64)
        tokens[0] = special.begin
        for lane, (i, length) in enumerate(zip(group, lengths, strict=True)):
            tokens[1 : 1 + length, lane] = records[i]
        surprisals, choices = batch_surprisals(engine, tokens)
        for lane, (i, length) in enumerate(zip(group, lengths, strict=True)):
            yield RecordSurprisals(i, surprisals[: length + 1, lane], choices[: length + 1, lane])


def similar_lengths(lengths: Sequence[int], lanes: int) -> Iterator[list[int]]:
    """Yield the indices of records in groups of up to ``lanes`` similar lengths, the longest first."""
    order = sorted(range(len(lengths)), key=lambda i: -lengths[i])
    start = 0
    while start < len(order):
        longest = lengths[order[start]]
        limit = min(lanes, max(1, MAX_TOKENS // (longest + 2)))
        group = [i for i in order[start : start + limit] if longest <= 2 * lengths[i] + MAX_PADDING]
        yield group
        start += len(group)
