"""Scores of texts: the surprisal of each token, the prediction of a text by a model, and figures over it.

With a character-level model, each token is a character. Cross-entropy is stated per character of the text, so
that models with different tokenizers can be compared. Perplexity and accuracy are per token.
"""

import math
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .engine import Engine
from .errors import Name, PromptError, ScoringError
from .model import Model
from .text import SEPARATORS, held_out_start, is_held_out, split_records
from .tokenizer import (
    BYTE,
    BYTES_TO_TEXT,
    CHARACTER,
    OUTSIDE,
    SpecialTokens,
    Tokenizer,
    UnknownPolicy,
    byte_name,
    unit_of,
)

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

# The first token is not predicted, because no token precedes it.
MIN_TEXT = 2

# Characters before the scored part of a text that determine the last token of that text. A word has at most
# 64 characters.
MAX_CONTEXT = 128

BITS_PER_NAT = 1.0 / math.log(2)


def surprisals(engine: Engine, tokens: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the surprisal of each token except the first, and the most likely token at its position.

    Args:
        engine: The engine of the model. Each sequence is fed once, starting from the initial state.
        tokens: One sequence, shape [tokens], or several of equal length, shape [tokens, sequences], int64; at
            least one token.

    Returns:
        The negative natural-log probability of each token given all tokens before it, float64, and the most
        likely tokens, int64. One position shorter than ``tokens``. If a logit is not finite, the surprisal at
        its position is not finite.
    """
    from concurrent.futures import ThreadPoolExecutor

    sequences = tokens.reshape(len(tokens), -1)
    state = engine.initial_state(sequences.shape[1])
    size = max(1, min(CHUNK, MAX_LOGITS // (sequences.shape[1] * engine.vocabulary_size)))
    scores = [(np.empty((0, sequences.shape[1])), np.empty((0, sequences.shape[1]), np.int64))]
    # With a large vocabulary, the exponentials take as long as the network, so they run in a second thread.
    with ThreadPoolExecutor(1, "textgen-scoring") as executor:
        pending = None
        for begin in range(0, len(tokens) - 1, size):
            targets = sequences[begin + 1 : begin + 1 + size]
            logits, state = engine.forward(sequences[begin : begin + len(targets)], state)
            # At most one chunk is pending, so that memory stays bounded.
            if pending:
                scores.append(pending.result())
            pending = executor.submit(score_logits, logits, targets)
        if pending:
            scores.append(pending.result())
    shape = (len(tokens) - 1, *tokens.shape[1:])
    token_surprisals, choices = (np.concatenate(parts).reshape(shape) for parts in zip(*scores, strict=True))
    return token_surprisals, choices


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


def score_records(engine: Engine, records: Sequence[Sequence[int]], special: SpecialTokens) -> RecordScore:
    """Score records. Arguments are those of ``record_surprisals``.

    The result is not finite if a logit is not finite.
    """
    scores = [token_surprisals for _, token_surprisals, _ in record_surprisals(engine, records, special)]
    # The sum of the totals is rounded only once, so it does not depend on their order.
    return RecordScore(math.fsum(map(math.fsum, scores)), sum(map(len, scores)))


def record_surprisals(
    engine: Engine, records: Sequence[Sequence[int]], special: SpecialTokens
) -> Iterator[tuple[int, NDArray[np.float64], NDArray[np.int64]]]:
    """Yield the index, the surprisals and the most likely tokens of each record, in any order.

    Args:
        engine: The engine of the model. Each record starts from its initial state.
        records: The tokens of each record, without ``begin`` and ``end``.
        special: The special tokens of the model.

    Yields:
        The surprisals in nats, float64, and the most likely tokens, int64, are those of the tokens of the
        record and of ``end``. Shape [tokens + 1].

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
        scores, choices = surprisals(engine, tokens)
        for lane, (i, length) in enumerate(zip(group, lengths, strict=True)):
            yield i, scores[: length + 1, lane], choices[: length + 1, lane]


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
    tokenizer, (scored, symbols, skipped) = model.tokenizer, _encode(model.tokenizer, text[start:], unknown)
    # The first scored token is predicted from the token before it.
    before = _last_token(tokenizer, text[max(0, start - MAX_CONTEXT) : start], unknown)
    tokens = np.asarray([*before, *scored] if before else scored, np.int64)
    if len(tokens) < MIN_TEXT:
        raise ScoringError(
            f"the text is too short: it needs {MIN_TEXT} {unit_of(tokenizer)}s of the vocabulary to be scored"
        )
    token_surprisals, choices = surprisals(model.engine, tokens)
    _check_finite(token_surprisals)
    return Prediction(
        tokenizer.decode_each(tokens[:1].tolist())[0],
        symbols if before else symbols[1:],
        _texts_of_choices(tokenizer, choices),
        token_surprisals,
        hits=int((choices == tokens[1:]).sum()),
        skipped=skipped,
        unknown=int((tokens[1:] == tokenizer.unknown).sum()),
    )


def format_share(share: float) -> str:
    """Return a share as a percentage with at most four digits and without an exponent, such as 0.001%."""
    return np.format_float_positional(100 * share, 4, unique=False, fractional=False, trim="-") + "%"


def _predict_records(model: Model, records: Sequence[str], last: float, unknown: UnknownPolicy) -> Prediction:
    """Predict each record from the initial state. ``last`` selects the records of a held-out part."""
    if not records:
        raise ScoringError("the text has no records to score")
    selected = [record for record in records if is_held_out(record, last)]
    if not selected:
        raise ScoringError(f"no record is in the held-out {format_share(last)}: raise ", Name("last"))
    tokenizer, special = model.tokenizer, model.tokenizer.special
    separator = SEPARATORS[model.metadata.records or "lines"]
    try:
        encoded = [_encode(tokenizer, record, unknown) for record in selected]
    except PromptError:
        # The error has the characters of one record. This one has those of all records.
        tokenizer.encode("".join(selected), unknown)
        raise
    records_of_tokens = [tokens for tokens, _, _ in encoded]
    predicted = sorted(
        record_surprisals(model.engine, records_of_tokens, special), key=lambda record: record[0]
    )
    token_surprisals = np.concatenate([scores for _, scores, _ in predicted])
    choices = np.concatenate([likely for _, _, likely in predicted])
    _check_finite(token_surprisals)
    targets = np.concatenate([[*tokens, special.end] for tokens in records_of_tokens])
    likely_texts = _texts_of_choices(tokenizer, choices)
    symbols = [symbol for _, texts, _ in encoded for symbol in (*texts, separator)]
    return Prediction(
        "",
        symbols,
        [
            separator if choice == special.end else text
            for choice, text in zip(choices, likely_texts, strict=True)
        ],
        token_surprisals,
        hits=int((choices == targets).sum()),
        skipped=sum(skipped for _, _, skipped in encoded),
        unknown=int((targets == tokenizer.unknown).sum()),
        ends=len(selected),
    )


def _encode(
    tokenizer: Tokenizer, text: str, unknown: UnknownPolicy
) -> tuple["array[int]", Sequence[str], int]:
    """Return a text as tokens, the text of each of them, and the number of characters that were skipped."""
    known, tokens = tokenizer.encode_known(text), tokenizer.encode(text, unknown)
    skipped = known.count(OUTSIDE) if unknown == "skip" else 0
    if tokenizer.level == BYTE:
        return tokens, _texts_of_bytes(tokenizer.raw().decode(tokens)), skipped
    if tokenizer.level == CHARACTER and not skipped:
        return tokens, text, 0
    # A skipped character may also be a part of a word.
    lengths = [1 if token == OUTSIDE else len(tokenizer.symbols[token]) for token in known]
    symbols = [
        text[end - length : end]
        for token, length, end in zip(known, lengths, accumulate(lengths), strict=True)
        if token != OUTSIDE or not skipped
    ]
    return tokens, "".join(symbols) if tokenizer.level == CHARACTER else symbols, skipped


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
