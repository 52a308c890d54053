"""How well a model predicts a text: its surprise at each character, and what that comes to."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .engine import Engine, initial_state
from .errors import ScoringError
from .generator import Model
from .vocabulary import UnknownPolicy

# Characters read in one call, and how many logits of them may be in memory at once: as float64, 32 MiB.
PIECE = 1024
LARGEST_LOGITS = 2**22

# The first character of a text has nothing before it to be predicted from.
LEAST_TEXT = 2

BITS_A_NAT = 1.0 / math.log(2)


@dataclass(frozen=True)
class Prediction:
    """A text, and how a model predicted it.

    Attributes:
        context: The character that stands before the text, from which its first one is predicted.
        text: The predicted characters, in the form that the model reads.
        choices: The characters that the model held likeliest in their places.
        surprisals: Negative natural-log probability of each character, given all before it; in nats, of
            shape [characters], float64.
        hits: How often the likeliest token was the right one. Tokens tell the unknown symbol apart from a
            U+FFFD of the text, which ``text`` and ``choices`` show alike.
        skipped: How many characters were left out because the model does not know them.
        unknown: How many characters were read and scored as the model's unknown symbol, if it has one. In
            ``text`` and ``choices`` it is U+FFFD.
    """

    context: str
    text: str
    choices: str
    surprisals: NDArray[np.float64]
    hits: int
    skipped: int
    unknown: int = 0

    @property
    def score(self) -> "Score":
        return Score(len(self.text), math.fsum(self.surprisals), self.hits)


@dataclass(frozen=True)
class Score:
    """What the predictions of a text come to.

    Attributes:
        characters: How many were predicted.
        total_nats: Sum of their surprisals.
        hits: How often the likeliest character was the right one.
    """

    characters: int
    total_nats: float
    hits: int

    @property
    def nats(self) -> float:
        """Cross-entropy: nats a character."""
        return self.total_nats / self.characters

    @property
    def bits(self) -> float:
        """Bits per character."""
        return self.nats * BITS_A_NAT

    @property
    def perplexity(self) -> float:
        """As many equally likely characters would be as hard to choose from."""
        try:
            return math.exp(self.nats)
        except OverflowError:
            return math.inf

    @property
    def accuracy(self) -> float:
        """Share of characters that the model held likeliest, in [0, 1]."""
        return self.hits / self.characters


def total(scores: Sequence[Score]) -> Score:
    """The score of several texts as one; every character counts the same."""
    return Score(
        sum(score.characters for score in scores),
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
    text = model.contract.normalization.apply(text)
    # As training cuts it, so that the same share is the same characters.
    start = max(0, len(text) - round(len(text) * last) - 1)
    tokens = model.vocabulary.encode(text[start:], unknown)
    if len(tokens) < LEAST_TEXT:
        part = f" in the last {len(text) - start} of {len(text)}" if start else ""
        raise ScoringError(
            f"there is nothing to predict: {len(tokens)} known characters{part}, and at least {LEAST_TEXT} "
            "needed"
        )
    found, choices = surprisals(model.engine, tokens)
    if not np.isfinite(found).all():
        raise ScoringError("the model's logits are not finite: export it again")
    known, chosen = model.vocabulary.decode_each(tokens), model.vocabulary.decode_each(choices)
    return Prediction(
        known[0],
        known[1:],
        chosen,
        found,
        hits=int((choices == tokens[1:]).sum()),
        skipped=len(text) - start - len(tokens),
        unknown=int((tokens[1:] == model.vocabulary.unknown).sum()),
    )


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

    state = initial_state(engine)
    size = max(1, min(PIECE, LARGEST_LOGITS // engine.vocabulary_size))
    # With a large vocabulary the exponentials take as long as the network: they run beside it.
    with ThreadPoolExecutor(1, "textgen-scoring") as beside:
        noted = None
        for begin in range(0, len(tokens) - 1, size):
            piece = tokens[begin : begin + size + 1]
            logits, state = engine.step(np.ascontiguousarray(piece[:-1, np.newaxis]), state)
            # One piece waits at most, so that memory stays bounded.
            if noted:
                noted.result()
            noted = beside.submit(note, begin, logits[:, 0], piece[1:])
        if noted:
            noted.result()
    return found, choices
