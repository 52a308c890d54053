"""The surprisal of each token of sequences, computed by an engine."""

import math

import numpy as np
from numpy.typing import NDArray

from textgen_runtime.engines.base import Engine

# Maximum number of tokens per forward call.
CHUNK = 1024

# Maximum number of logits in memory at once: 32 MiB as float64.
MAX_LOGITS = 2**22


def cross_entropy(engine: Engine, tokens: NDArray[np.int64]) -> float:
    """Return the mean surprisal of all tokens except the first, in nats per token.

    With a character-level model this is nats per character. The arguments are those of ``surprisals``; there
    must be at least two tokens.
    """
    token_surprisals, _ = surprisals(engine, tokens)
    return math.fsum(token_surprisals) / len(token_surprisals)


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
    from concurrent.futures import ThreadPoolExecutor

    steps, batch = len(tokens) - 1, tokens.shape[1]
    token_surprisals = np.empty((steps, batch))
    choices = np.empty((steps, batch), np.int64)

    def score_chunk(begin: int, chunk_logits: NDArray[np.float32]) -> None:
        positions = slice(begin, begin + len(chunk_logits))
        targets = tokens[1:][positions]
        with np.errstate(invalid="ignore"):
            logits = chunk_logits.astype(np.float64)
            logits -= logits.max(axis=2, keepdims=True)
            target_logits = np.take_along_axis(logits, targets[..., np.newaxis], axis=2)[..., 0]
            choices[positions] = logits.argmax(axis=2)
            token_surprisals[positions] = np.log(np.exp(logits, out=logits).sum(axis=2)) - target_logits

    state = engine.initial_state(batch)
    size = max(1, min(CHUNK, MAX_LOGITS // (batch * engine.vocabulary_size)))
    # With a large vocabulary, the exponentials take as long as the network, so they run in a second thread.
    with ThreadPoolExecutor(1, "textgen-scoring") as executor:
        pending = None
        for begin in range(0, steps, size):
            inputs = np.ascontiguousarray(tokens[begin : min(begin + size, steps)])
            logits, state = engine.forward(inputs, state)
            # At most one chunk is pending, so that memory stays bounded.
            if pending:
                pending.result()
            pending = executor.submit(score_chunk, begin, logits)
        if pending:
            pending.result()
    return token_surprisals, choices
