"""Prediction of a text by a model: the surprisal of each token, and scores over the text.

With a character-level model, each token is a character. Cross-entropy is stated per character of the text, so
that models with different tokenizers can be compared. Perplexity and accuracy are per token.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from textgen_runtime.errors import Name, PromptError, ScoringError
from textgen_runtime.model import Model
from textgen_runtime.text import SEPARATORS, held_out_start, is_held_out, split_records
from textgen_runtime.tokenizer import (
    BYTE,
    BYTES_TO_TEXT,
    CHARACTER,
    OUTSIDE,
    WORD,
    Tokenizer,
    UnknownPolicy,
    byte_name,
    unit_of,
)

from .surprisals import record_surprisals, surprisals

# The first token is not predicted, because no token precedes it.
MIN_TEXT = 2

# Characters before the scored part of a text that determine the last token of that text. A word has at most
# 64 characters.
MAX_CONTEXT = 128

BITS_PER_NAT = 1.0 / math.log(2)


@dataclass(frozen=True)
class Prediction:
    r"""The prediction of a text by a model.

    The unknown symbol has the text U+FFFD in ``context`` and ``choices``. The end of a record has the text
    that separates records: a line end, or two.

    Attributes:
        context: The text of the token before the first predicted token.
        symbols: The texts of the predicted tokens, after normalization. A character that was scored as the
            unknown symbol stays itself. A str with a character-level model of continuous text, otherwise a
            list. With a byte-level model, a character belongs to its last byte, and a byte that is not UTF-8
            is U+DC80 to U+DCFF.
        choices: The texts of the most likely tokens, of the same length and type as ``symbols``. A byte that
            is not ASCII has a name such as ``\xc3``.
        surprisals: Negative natural-log probability of each token given all tokens before it, in nats. Shape
            [tokens], float64.
        hits: Number of tokens that equal the most likely token. Tokens are compared, not texts, because any
            character may be scored as the unknown symbol.
        skipped: Number of characters that were skipped because they are outside the vocabulary.
        unknown: Number of predicted tokens that are the unknown symbol; 0 without an unknown symbol.
        ends: Number of predicted tokens that are the end of a record.
    """

    context: str
    symbols: Sequence[str]
    choices: Sequence[str]
    surprisals: NDArray[np.float64]
    hits: int
    skipped: int
    unknown: int = 0
    ends: int = 0

    @property
    def text(self) -> str:
        """The predicted text."""
        return self.symbols if isinstance(self.symbols, str) else "".join(self.symbols)

    @property
    def score(self) -> "Score":
        """The score of the model on the predicted text. The end of a record counts as one character."""
        separator = self.symbols[-1] if self.ends else ""
        characters = len(self.text) - self.ends * (len(separator) - 1)
        return Score(characters, len(self.symbols), math.fsum(self.surprisals), self.hits)


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
    def token_nats(self) -> float:
        """Cross-entropy in nats per token."""
        return self.total_nats / self.tokens

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
    if model.metadata.records is not None:
        return _predict_records(model, split_records(text, model.metadata.records), last, unknown)
    start = held_out_start(len(text), last)
    tokenizer, scored = model.tokenizer, _Encoded(model.tokenizer, text[start:], unknown)
    # The first scored token is predicted from the token before it.
    before = _last_token(tokenizer, text[max(0, start - MAX_CONTEXT) : start], unknown)
    tokens = np.asarray([*before, *scored.tokens]) if before else np.asarray(scored.tokens)
    if len(tokens) < MIN_TEXT:
        part = f"the last {len(text) - start + 1} of {len(text)} characters have" if start else "it has"
        units = f"{unit_of(tokenizer)}{'s' * (len(tokens) != 1)}"
        raise ScoringError(
            f"the text is too short to score: {part} {len(tokens)} {units} of the vocabulary, and at least "
            f"{MIN_TEXT} are needed: pass a longer text"
        )
    token_surprisals, choices = surprisals(model.engine, tokens)
    _check_finite(token_surprisals)
    symbols = scored.symbols if before else scored.symbols[1:]
    return Prediction(
        tokenizer.decode_each(tokens[:1].tolist())[0],
        symbols,
        _texts_of_choices(tokenizer, choices),
        token_surprisals,
        hits=int((choices == tokens[1:]).sum()),
        skipped=scored.skipped,
        unknown=int((tokens[1:] == tokenizer.unknown).sum()),
    )


def format_share(share: float) -> str:
    """Return a share as a percentage with at most four digits and without an exponent, such as 0.001%."""
    return np.format_float_positional(100 * share, 4, unique=False, fractional=False, trim="-") + "%"


def _predict_records(model: Model, records: Sequence[str], last: float, unknown: UnknownPolicy) -> Prediction:
    """Predict each record from the initial state. ``last`` selects the records of a held-out part."""
    if not records:
        raise ScoringError("the text has no records to score: pass a text with at least one")
    selected = [record for record in records if is_held_out(record, last)]
    if not selected:
        which = "the only record is not" if len(records) == 1 else f"none of the {len(records):,} records is"
        raise ScoringError(f"{which} in the held-out {format_share(last)}: raise ", Name("last"))
    tokenizer, special = model.tokenizer, model.tokenizer.special
    separator = SEPARATORS[model.metadata.records or "lines"]
    try:
        encoded = [_Encoded(tokenizer, record, unknown) for record in selected]
    except PromptError:
        # The error has the characters of one record. This one has those of all records.
        tokenizer.encode("".join(selected), unknown)
        raise
    predicted = sorted(record_surprisals(model.engine, [record.tokens for record in encoded], special))
    token_surprisals = np.concatenate([record.surprisals for record in predicted])
    choices = np.concatenate([record.choices for record in predicted])
    _check_finite(token_surprisals)
    targets = np.concatenate([[*record.tokens, special.end] for record in encoded])
    texts = _texts_of_choices(tokenizer, choices)
    symbols = [symbol for record in encoded for symbol in (*record.symbols, separator)]
    return Prediction(
        "",
        symbols,
        [separator if choice == special.end else text for choice, text in zip(choices, texts, strict=True)],
        token_surprisals,
        hits=int((choices == targets).sum()),
        skipped=sum(record.skipped for record in encoded),
        unknown=int((targets == tokenizer.unknown).sum()),
        ends=len(selected),
    )


class _Encoded:
    """A text as tokens.

    Attributes:
        tokens: The tokens.
        symbols: The text of each token; see ``Prediction.symbols``.
        skipped: Number of characters that were skipped.
    """

    def __init__(self, tokenizer: Tokenizer, text: str, unknown: UnknownPolicy) -> None:
        skipped = tokenizer.count_unknown(text) if unknown == "skip" else Counter[str]()
        self.tokens = tokenizer.encode(text, unknown)
        self.skipped = skipped.total()
        self.symbols: Sequence[str]
        if tokenizer.level == WORD:
            # A skipped character may also be a part of a word.
            known = tokenizer.encode_known(text)
            lengths = [1 if token == OUTSIDE else len(tokenizer.symbols[token]) for token in known]
            self.symbols = [
                text[end - length : end]
                for token, length, end in zip(known, lengths, accumulate(lengths), strict=True)
                if token != OUTSIDE or unknown != "skip"
            ]
            return
        kept = "".join([character for character in text if character not in skipped])
        self.symbols = _texts_of_bytes(kept) if tokenizer.level == BYTE else kept


def _texts_of_bytes(characters: str) -> list[str]:
    """Return the text of each byte of a text: a character belongs to its last byte, others are empty."""
    texts: list[str] = []
    for character in characters:
        texts += [""] * (len(character.encode("utf-8", BYTES_TO_TEXT)) - 1)
        texts.append(character)
    return texts


def _last_token(tokenizer: Tokenizer, text: str, unknown: UnknownPolicy) -> list[int]:
    """Return the last token of a text, in a list; an empty list if it has none."""
    return tokenizer.encode(text, "skip" if tokenizer.unknown is None else unknown)[-1:].tolist()


def _texts_of_choices(tokenizer: Tokenizer, choices: NDArray[np.int64]) -> Sequence[str]:
    if tokenizer.level != BYTE:
        return tokenizer.decode_each(choices.tolist())
    # Successive choices are no text, so each is a byte of its own.
    return [byte_name(byte) for byte in choices.tolist()]


def _check_finite(token_surprisals: NDArray[np.float64]) -> None:
    if not np.isfinite(token_surprisals).all():
        raise ScoringError("the logits contain NaN or infinity: the model file is damaged")
