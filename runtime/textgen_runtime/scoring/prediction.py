"""How well a model predicts a text: its surprise at each token, and what that comes to.

With a model of characters a token is a character. Surprise is stated for each character of the text, so
that models of other tokens can be compared; perplexity and accuracy are those of tokens, which is what a
model chooses from.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from textgen_runtime.engines.base import Engine
from textgen_runtime.errors import ScoringError
from textgen_runtime.generation.model import Model
from textgen_runtime.text.split import held_out_start
from textgen_runtime.text.tokenizer import CHARACTER, UnknownPolicy, unit_of

# Tokens read in one call, and how many logits of them may be in memory at once: as float64, 32 MiB.
CHUNK = 1024
MAX_LOGITS = 2**22

# The first token of a text has nothing before it to be predicted from.
MIN_TEXT = 2

BITS_PER_NAT = 1.0 / math.log(2)


@dataclass(frozen=True)
class Prediction:
    """A text, and how a model predicted it.

    Attributes:
        context: The text of the token that stands before the text, from which its first one is predicted.
        symbols: The predicted tokens' texts, in the form that the model reads: a str of one character each
            with a model of characters, else a list.
        choices: The tokens that the model held likeliest in their places, alike.
        surprisals: Negative natural-log probability of each token, given all before it; in nats, of shape
            [tokens], float64.
        hits: How often the likeliest token was the right one. Tokens tell the unknown symbol apart from a
            U+FFFD of the text, which ``symbols`` and ``choices`` show alike.
        skipped: How many characters were left out because the model does not know them.
        unknown: How many tokens were read and scored as the model's unknown symbol, if it has one. In
            ``symbols`` and ``choices`` it is U+FFFD.
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
        return Score(len(self.text), len(self.symbols), math.fsum(self.surprisals), self.hits)


@dataclass(frozen=True)
class Score:
    """What the predictions of a text come to.

    Attributes:
        characters: How many were predicted.
        tokens: How many they were predicted in: as many, with a model of characters.
        total_nats: Sum of their surprisals.
        hits: How often the likeliest token was the right one.
    """

    characters: int
    tokens: int
    total_nats: float
    hits: int

    @property
    def unit(self) -> str:
        """What a token is here: a character, where there are as many."""
        return CHARACTER if self.tokens == self.characters else "token"

    @property
    def nats(self) -> float:
        """Cross-entropy: nats a character."""
        return self.total_nats / self.characters

    @property
    def bits(self) -> float:
        """Bits per character."""
        return self.nats * BITS_PER_NAT

    @property
    def perplexity(self) -> float:
        """As many equally likely tokens would be as hard to choose from."""
        try:
            return math.exp(self.total_nats / self.tokens)
        except OverflowError:
            return math.inf

    @property
    def accuracy(self) -> float:
        """Share of tokens that the model held likeliest, in [0, 1]."""
        return self.hits / self.tokens


def total(scores: Sequence[Score]) -> Score:
    """The score of several texts as one; every character counts the same."""
    return Score(
        sum(score.characters for score in scores),
        sum(score.tokens for score in scores),
        math.fsum(score.total_nats for score in scores),
        sum(score.hits for score in scores),
    )


def predict(model: Model, text: str, *, last: float = 1.0, unknown: UnknownPolicy = "error") -> Prediction:
    """Read a text once, from a fresh state to its end, and note how well each character was expected.

    Nothing is adapted on the way, and no character is predicted twice: this is the loss that training
    reports, over any text.

    Args:
        model: What predicts.
        text: At least two characters that the model knows; brought into the model's form first.
        last: The share of the text to score, cut from its end, in (0, 1]: with the share that training held
            out and the same corpus, these are the characters that training was scored on. What comes before
            is not read, but for the one character that the first is predicted from.
        unknown: What to do about characters outside the vocabulary: ``"skip"`` neither predicts nor reads
            them; ``"error"`` reads and predicts them as the model's unknown symbol, and is an error only
            where the model has none.

    Raises:
        PromptError: If there are unknown characters that are neither skipped nor read as the unknown symbol.
        ScoringError: If fewer than two characters are left, or the model's logits are not finite.
        ValueError: If ``last`` or ``unknown`` is not as stated.
    """
    if not 0 < last <= 1:
        raise ValueError(f"last must be above 0 and at most 1, not {last}")
    text = model.metadata.normalization.apply(text)
    # One character more: the first scored character is predicted from it.
    start = max(0, held_out_start(len(text), last) - 1)
    tokenizer = model.tokenizer
    tokens = np.asarray(tokenizer.encode(text[start:], unknown))
    if len(tokens) < MIN_TEXT:
        part = f" in the last {len(text) - start} of {len(text)}" if start else ""
        raise ScoringError(
            f"there is nothing to predict: {len(tokens)} known {unit_of(tokenizer)}s{part}, and at least "
            f"{MIN_TEXT} needed"
        )
    found, choices = surprisals(model.engine, tokens)
    if not np.isfinite(found).all():
        raise ScoringError("the model's logits are not finite: export it again")
    known, chosen = tokenizer.decode_each(tokens.tolist()), tokenizer.decode_each(choices.tolist())
    skipped = tokenizer.unknown_in(text[start:]) if unknown == "skip" else {}
    return Prediction(
        known[0],
        known[1:],
        chosen,
        found,
        hits=int((choices == tokens[1:]).sum()),
        skipped=sum(len(symbol) * times for symbol, times in skipped.items()),
        unknown=int((tokens[1:] == tokenizer.unknown).sum()),
    )


def cross_entropy(engine: Engine, tokens: NDArray[np.int64]) -> float:
    """Return the mean surprisal of all tokens except the first, in nats per token.

    The arguments are those of ``surprisals``.
    """
    found, _ = surprisals(engine, tokens)
    return math.fsum(found) / len(found)


def surprisals(engine: Engine, tokens: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Read tokens once, from a fresh state, and note how well each was expected.

    Args:
        engine: Runs the model.
        tokens: Shape [tokens], int64; at least one.

    Returns:
        For all tokens but the first, the negative natural-log probability given all before it, float64, and
        the token that was held likeliest, int64; both of shape [tokens - 1]. A logit that is not finite
        makes surprisals that are not.
    """
    from concurrent.futures import ThreadPoolExecutor

    found = np.empty(len(tokens) - 1)
    choices = np.empty(len(tokens) - 1, np.int64)

    def note(begin: int, logits: NDArray[np.float32], following: NDArray[np.int64]) -> None:
        with np.errstate(invalid="ignore"):
            rows = logits.astype(np.float64)
            rows -= rows.max(axis=1, keepdims=True)
            wanted = np.take_along_axis(rows, following[:, np.newaxis], axis=1)[:, 0]
            here = slice(begin, begin + len(rows))
            choices[here] = rows.argmax(axis=1)
            found[here] = np.log(np.exp(rows, out=rows).sum(axis=1)) - wanted

    state = engine.initial_state()
    size = max(1, min(CHUNK, MAX_LOGITS // engine.vocabulary_size))
    # With a large vocabulary the exponentials take as long as the network: they run beside it.
    with ThreadPoolExecutor(1, "textgen-scoring") as beside:
        noted = None
        for begin in range(0, len(tokens) - 1, size):
            chunk = tokens[begin : begin + size + 1]
            logits, state = engine.forward(np.ascontiguousarray(chunk[:-1, np.newaxis]), state)
            # One chunk waits at most, so that memory stays bounded.
            if noted:
                noted.result()
            noted = beside.submit(note, begin, logits[:, 0], chunk[1:])
        if noted:
            noted.result()
    return found, choices
