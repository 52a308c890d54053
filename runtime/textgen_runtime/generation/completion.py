"""``complete``: the likeliest ends of a word, by beam search."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from textgen_runtime.engines.base import State
from textgen_runtime.text.tokenizer import BYTE, Tokenizer

from .feeding import feed_in_chunks
from .model_identity import ModelIdentity

# Each search step runs the network once for all beams. Between 16 and 64 beams the best five completions of
# 200 prefixes of English text stayed the same.
BEAMS = 32

MAX_LENGTH = 40

# Marks inside a word, such as in "don't".
WORD_MARKS = frozenset("'\u2019-")


class Completion(NamedTuple):
    """A way to continue a text to the end of a word.

    Attributes:
        text: The rest of the word.
        probability: The probability that the model continues with this text, and that the word then ends.
    """

    text: str
    probability: float


class _Beams(NamedTuple):
    """The unfinished words of one search step, the likeliest first.

    Attributes:
        tokens: The tokens of each word, [beams, length].
        logprobs: The log-probability of each word, [beams].
        next_logprobs: The log-probabilities of the next token, [beams, vocabulary].
        state: The state after each word, batch size beams.
    """

    tokens: NDArray[np.int64]
    logprobs: NDArray[np.float64]
    next_logprobs: NDArray[np.float64]
    state: State


def complete(
    model: ModelIdentity, tokens: Sequence[int], count: int, length_normalization: float
) -> list[Completion]:
    """Return the ``count`` best completions after the tokens of a text; see ``Model.complete``."""
    in_word = word_tokens(model.tokenizer)
    position = model.engine.new_stream()
    feed_in_chunks(model.engine, position, tokens, restart=True)
    next_logprobs = _log_softmax(np.asarray(position.logits)[np.newaxis], model.tokenizer)
    beams = _Beams(np.empty((1, 0), np.int64), np.zeros(1), next_logprobs, position.state)
    finished: list[tuple[float, list[int], float]] = []
    for length in range(1, MAX_LENGTH + 1):
        beams = _extend(model, beams, in_word)
        if not len(beams.tokens):
            break
        ends = beams.logprobs + _log_sum_exp(beams.next_logprobs[:, ~in_word])
        for word, logprob in zip(beams.tokens.tolist(), ends.tolist(), strict=True):
            finished.append((logprob / length_penalty(length, length_normalization), word, logprob))
        # A stable sort: of equal scores, the shorter word comes first.
        finished = sorted(finished, key=lambda word: -word[0])[:count]
        # No longer word can have a better score than the best unfinished one would have at the maximum
        # length.
        bound = beams.logprobs[0] / length_penalty(MAX_LENGTH, length_normalization)
        if len(finished) == count and bound <= finished[-1][0]:
            break
    return [
        Completion(model.tokenizer.decode(word), float(np.exp(logprob)))
        for score, word, logprob in finished
        if score > -np.inf
    ]


def length_penalty(length: int, alpha: float) -> float:
    """Return the divisor of a log-probability: ``((5 + length) / 6) ** alpha``.

    Source: Y. Wu et al., Google's Neural Machine Translation System, 2016, equation 14.
    """
    return float(((5 + length) / 6) ** alpha)


def word_tokens(tokenizer: Tokenizer) -> NDArray[np.bool_]:
    """Return which tokens are part of a word: letters, digits, combining marks, apostrophes and hyphens.

    Bytes that are not ASCII are parts of words, too: most of them are parts of letters.
    """
    import unicodedata

    def is_in_word(symbol: str) -> bool:
        if tokenizer.level == BYTE and not symbol.isascii():
            return True
        return symbol != "" and all(
            character.isalnum() or character in WORD_MARKS or unicodedata.combining(character)
            for character in symbol
        )

    return np.array([is_in_word(symbol) for symbol in tokenizer.symbols])


def _extend(model: ModelIdentity, beams: _Beams, in_word: NDArray[np.bool_]) -> _Beams:
    """Extend each word by each token of a word, keep the best ``BEAMS``, and run the network on them."""
    candidates = np.where(in_word, beams.logprobs[:, np.newaxis] + beams.next_logprobs, -np.inf)
    order = np.argsort(-candidates, axis=None, kind="stable")[:BEAMS]
    order = order[np.isfinite(candidates.ravel()[order])]
    parents, tokens = np.unravel_index(order, candidates.shape)
    if not len(order):
        return _Beams(np.empty((0, 0), np.int64), np.empty(0), np.empty((0, 0)), beams.state)
    state = State({name: np.ascontiguousarray(array[:, parents]) for name, array in beams.state.items()})
    logits, state = model.engine.forward(tokens[np.newaxis].astype(np.int64), state)
    return _Beams(
        np.column_stack([beams.tokens[parents], tokens]),
        candidates[parents, tokens],
        _log_softmax(logits[0], model.tokenizer),
        state,
    )


def _log_softmax(logits: NDArray[Any], tokenizer: Tokenizer) -> NDArray[np.float64]:
    """Return log-probabilities, [beams, vocabulary]. Tokens that are never drawn have none."""
    values = logits.astype(np.float64)
    values[:, list(tokenizer.special.never_drawn)] = -np.inf
    return np.asarray(values - _log_sum_exp(values)[:, np.newaxis])


def _log_sum_exp(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the logarithm of the sum of exponentials of each row."""
    # logaddexp accepts rows of -inf, and rows without values.
    return np.asarray(np.logaddexp.reduce(values, axis=1, initial=-np.inf))
