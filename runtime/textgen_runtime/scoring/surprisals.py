"""The surprisal of each token of sequences, computed by an engine."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textgen_runtime.engines.base import Engine

# Maximum number of tokens per forward call.
CHUNK = 1024

# Maximum number of logits in memory at once: 32 MiB as float64.
MAX_LOGITS = 2**22


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
            pending = executor.submit(_score, logits, targets)
        if pending:
            yield pending.result()


def _score(
    float32_logits: NDArray[np.float32], targets: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the surprisal of each target and the most likely token, given logits [time, batch, tokens]."""
    with np.errstate(invalid="ignore"):
        logits = float32_logits.astype(np.float64)
        logits -= logits.max(axis=2, keepdims=True)
        target_logits = np.take_along_axis(logits, targets[..., np.newaxis], axis=2)[..., 0]
        choices = logits.argmax(axis=2)
        return np.log(np.exp(logits, out=logits).sum(axis=2)) - target_logits, choices
