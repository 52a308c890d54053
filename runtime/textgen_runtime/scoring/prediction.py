"""Prediction of a text by a model: the surprisal of each token, and scores over the text.

With a character-level model, each token is a character. Cross-entropy is stated per character of the text, so
that models with different tokenizers can be compared. Perplexity and accuracy are per token.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from textgen_runtime.engines.base import Engine
from textgen_runtime.errors import ScoringError
from textgen_runtime.generation.model import Model
from textgen_runtime.text.levels import CHARACTER, unit_of
from textgen_runtime.text.split import held_out_start
from textgen_runtime.text.tokenizer import UnknownPolicy

# Maximum number of tokens per forward call.
CHUNK = 1024

# Maximum number of logits in memory at once: 32 MiB as float64.
MAX_LOGITS = 2**22

# The first token is not predicted, because no token precedes it.
MIN_TEXT = 2

BITS_PER_NAT = 1.0 / math.log(2)


@dataclass(frozen=True)
class Prediction:
    """The prediction of a text by a model.

    The unknown symbol has the text U+FFFD in ``context``, ``symbols`` and ``choices``.

    Attributes:
        context: The text of the token before the first predicted token.
        symbols: The texts of the predicted tokens, after normalization. A str with a character-level model,
            otherwise a list.
        choices: The texts of the most likely tokens, of the same length and type as ``symbols``.
        surprisals: Negative natural-log probability of each token given all tokens before it, in nats. Shape
            [tokens], float64.
        hits: Number of tokens that equal the most likely token. Tokens are compared, not texts, because the
            unknown symbol and a U+FFFD in the vocabulary have the same text.
        skipped: Number of characters that were skipped because they are outside the vocabulary.
        unknown: Number of predicted tokens that are the unknown symbol; 0 without an unknown symbol.
    """

    context: str
    symbols: Sequence[str]
    choices: Sequence[str]
    surprisals: NDArray[np.float64]
    hits: int
    skipped: int
    unknown: int = 0

    @property
    def text(self) -> str:
        """The predicted text."""
        return self.symbols if isinstance(self.symbols, str) else "".join(self.symbols)

    @property
    def score(self) -> "Score":
        """The score of the model on the predicted text."""
        return Score(len(self.text), len(self.symbols), math.fsum(self.surprisals), self.hits)


@dataclass(frozen=True)
class Score:
    """The score of a model on a text.

    Attributes:
        characters: Number of predicted characters.
        tokens: Number of predicted tokens; equal to ``characters`` with a character-level model.
        total_nats: Sum of the surprisals, in nats.
        hits: Number of tokens that equal the most likely token.
    """

    characters: int
    tokens: int
    total_nats: float
    hits: int

    @property
    def unit(self) -> str:
        """The name of one token in reports: "character" if each token is a character, otherwise "token"."""
        return CHARACTER if self.tokens == self.characters else "token"

    @property
    def nats(self) -> float:
        """Cross-entropy in nats per character."""
        return self.total_nats / self.characters

    @property
    def bits(self) -> float:
        """Cross-entropy in bits per character."""
        return self.nats * BITS_PER_NAT

    @property
    def perplexity(self) -> float:
        """Perplexity per token: the exponential of the mean surprisal of a token."""
        try:
            return math.exp(self.total_nats / self.tokens)
        except OverflowError:
            return math.inf

    @property
    def accuracy(self) -> float:
        """Share of tokens that equal the most likely token, in [0, 1]."""
        return self.hits / self.tokens


def total_score(scores: Sequence[Score]) -> Score:
    """Return the score of several texts as one text. Each character has the same weight."""
    return Score(
        sum(score.characters for score in scores),
        sum(score.tokens for score in scores),
        math.fsum(score.total_nats for score in scores),
        sum(score.hits for score in scores),
    )


def predict(model: Model, text: str, *, last: float = 1.0, unknown: UnknownPolicy = "error") -> Prediction:
    """Predict each token of a text from all tokens before it.

    The text is fed once, starting from the initial state. The weights do not change, and each token except
    the first is predicted once. For the held-out text of a training run, the mean surprisal is the held-out
    loss of that run.

    Args:
        model: The model to score.
        text: A text with at least two tokens of the vocabulary. It is normalized first.
        last: The share of the text to score, at its end, in (0, 1]. To score the held-out text of a training
            run, pass the corpus as ``text`` and the held-out share as ``last``. Of the text before the
            scored part, only the last character is fed.
        unknown: What to do with characters outside the vocabulary. ``"skip"`` drops them. ``"error"`` encodes
            them as the unknown symbol, or raises ``PromptError`` if the vocabulary has none.

    Returns:
        The prediction of the scored part.

    Raises:
        PromptError: If the text has characters outside the vocabulary, ``unknown`` is ``"error"``, and there
            is no unknown symbol.
        ScoringError: If fewer than two tokens remain, or the logits contain NaN or infinity.
        ValueError: If ``last`` or ``unknown`` is invalid.
        TypeError: If ``text`` is not a string.
    """
    if not 0 < last <= 1:
        raise ValueError(f"last must be above 0 and at most 1, not {last}")
    text = model.metadata.normalize(text)
    # The first scored character is predicted from the character before it.
    start = max(0, held_out_start(len(text), last) - 1)
    tokenizer = model.tokenizer
    tokens = np.asarray(tokenizer.encode(text[start:], unknown))
    if len(tokens) < MIN_TEXT:
        part = f"the last {len(text) - start} of {len(text)} characters have" if start else "it has"
        raise ScoringError(
            f"the text is too short to score: {part} {len(tokens)} {unit_of(tokenizer)}s of the vocabulary, "
            f"and at least {MIN_TEXT} are needed"
        )
    token_surprisals, choices = surprisals(model.engine, tokens)
    if not np.isfinite(token_surprisals).all():
        raise ScoringError("the logits contain NaN or infinity: the model file is damaged")
    symbols, chosen = tokenizer.decode_each(tokens.tolist()), tokenizer.decode_each(choices.tolist())
    skipped = tokenizer.count_unknown(text[start:]) if unknown == "skip" else {}
    return Prediction(
        symbols[0],
        symbols[1:],
        chosen,
        token_surprisals,
        hits=int((choices == tokens[1:]).sum()),
        skipped=sum(len(symbol) * count for symbol, count in skipped.items()),
        unknown=int((tokens[1:] == tokenizer.unknown).sum()),
    )


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
    from concurrent.futures import ThreadPoolExecutor

    token_surprisals = np.empty(len(tokens) - 1)
    choices = np.empty(len(tokens) - 1, np.int64)

    def score_chunk(begin: int, chunk_logits: NDArray[np.float32], targets: NDArray[np.int64]) -> None:
        with np.errstate(invalid="ignore"):
            logits = chunk_logits.astype(np.float64)
            logits -= logits.max(axis=1, keepdims=True)
            target_logits = np.take_along_axis(logits, targets[:, np.newaxis], axis=1)[:, 0]
            positions = slice(begin, begin + len(logits))
            choices[positions] = logits.argmax(axis=1)
            token_surprisals[positions] = np.log(np.exp(logits, out=logits).sum(axis=1)) - target_logits

    state = engine.initial_state()
    size = max(1, min(CHUNK, MAX_LOGITS // engine.vocabulary_size))
    # With a large vocabulary, the exponentials take as long as the network, so they run in a second thread.
    with ThreadPoolExecutor(1, "textgen-scoring") as executor:
        pending = None
        for begin in range(0, len(tokens) - 1, size):
            chunk = tokens[begin : begin + size + 1]
            logits, state = engine.forward(np.ascontiguousarray(chunk[:-1, np.newaxis]), state)
            # At most one chunk is pending, so that memory stays bounded.
            if pending:
                pending.result()
            pending = executor.submit(score_chunk, begin, logits[:, 0], chunk[1:])
        if pending:
            pending.result()
    return token_surprisals, choices
