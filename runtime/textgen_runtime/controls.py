"""Converts the characters and texts of a ``Sampling`` to the tokens and tables of a model."""

import sys
import warnings
from collections.abc import Set as AbstractSet
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from .errors import ConstraintError, Name, SamplingError, quote
from .model_file import Metadata
from .sampling import CONSTRAINTS, Sampling
from .tokenizer import BYTE, BYTES_TO_TEXT, WORD, Tokenizer

if TYPE_CHECKING:
    from ._core import Constraint, Spans

# Hexadecimal digits of a digest.
DIGEST_LENGTH = 16


class Novel:
    """A corpus that texts must not copy, and the latest table of its spans. Threads may share it.

    Args:
        text: The corpus, normalized as the texts are.
        tokenizer: The tokenizer of the model.

    Attributes:
        text: As above.
    """

    __slots__ = ("_digest", "_spans", "_tokenizer", "text")

    def __init__(self, text: str, tokenizer: Tokenizer) -> None:
        self.text = text
        self._tokenizer = tokenizer
        self._spans: Spans | None = None
        self._digest = ""

    def spans(self, max_copy: int) -> "Spans":
        """Return the table for a value of ``max_copy``.

        The latest table is kept. More of them would take too much memory: up to 20 bytes for each token.

        Raises:
            SamplingError: If the model is one of words, which can be spelled in other tokens than the corpus.
        """
        if self._tokenizer.level == WORD:
            raise SamplingError(Name("max_copy"), " needs a model of characters or bytes")
        # Imported on use: most texts need no tables.
        from ._core import Spans

        spans = self._spans
        if spans is None or spans.max_copy != max_copy:
            # The old table is released before the new one is made, unless a text still follows it.
            self._spans = spans = None
            spans = Spans(self._tokenizer.encode_known(self.text), max_copy, len(self._tokenizer))
            self._spans = spans
        return spans

    @property
    def digest(self) -> str:
        """A hash of the corpus, in hexadecimal: a saved text must continue with the same corpus."""
        if not self._digest:
            from hashlib import sha256

            self._digest = sha256(self.text.encode("utf-8", "surrogatepass")).hexdigest()[:DIGEST_LENGTH]
        return self._digest


class Controls(NamedTuple):
    """The token form of those parameters of a ``Sampling`` that are characters and texts.

    Attributes:
        logit_bias: The logit biases as pairs of a token and a number, sorted by token. A token that is never
            allowed has -inf.
        stops: The stop texts that the vocabulary can produce, normalized, as UTF-8.
        constraint: The constraint, or None.
        spans: The spans of the corpus that must not be copied, or None.
    """

    logit_bias: tuple[tuple[int, float], ...]
    stops: tuple[bytes, ...]
    constraint: "Constraint | None"
    spans: "Spans | None"


def compile_controls(sampling: Sampling, metadata: Metadata, novel: Novel | None = None) -> Controls:
    """Convert the parameters to tokens of the model with this metadata, and the corpus of ``Model.novel``.

    ``Model.compile_controls`` calls this function.

    Raises:
        SamplingError: If a character of ``logit_bias`` is not in the vocabulary, if no character is left, if
            the model has no records that ``min_length`` could apply to, or no corpus for ``max_copy``.
        ConstraintError: If the constraint is invalid, or if no text of the vocabulary meets it.
    """
    tokenizer = metadata.tokenizer
    if sampling.min_length and tokenizer.special.end is None:
        raise SamplingError(Name("min_length"), " needs a model of records: other texts have no end")
    banned: AbstractSet[int] = frozenset()
    if sampling.banned or sampling.allowed is not None:
        banned = _banned_tokens(sampling.allowed, sampling.banned, tokenizer)
    biases = _bias_tokens(sampling, tokenizer) if sampling.logit_bias else {}
    constraints = [name for name in CONSTRAINTS if getattr(sampling, name) is not None]
    return Controls(
        tuple(sorted((biases | dict.fromkeys(banned, float("-inf"))).items())),
        _stops(sampling, metadata) if sampling.stop else (),
        _compile_constraint(constraints[0], sampling, metadata, banned) if constraints else None,
        _spans(sampling, novel) if sampling.max_copy else None,
    )


def _spans(sampling: Sampling, novel: Novel | None) -> "Spans":
    if novel is None:
        raise SamplingError(
            Name("max_copy"), " needs a corpus that texts must not copy: pass it as ", Name("novel")
        )
    return novel.spans(sampling.max_copy)


def _stops(sampling: Sampling, metadata: Metadata) -> tuple[bytes, ...]:
    for text in impossible_stops(sampling, metadata):
        warnings.warn(impossible_stop_message(text), stacklevel=_levels_to_caller())
    stops = map(metadata.normalize, sampling.stop)
    return tuple(
        [stop.encode("utf-8", BYTES_TO_TEXT) for stop in stops if metadata.tokenizer.can_encode(stop)]
    )


def _levels_to_caller() -> int:
    """Return the ``stacklevel`` of the calling function with which a warning names the code of the user."""
    package = __name__.partition(".")[0]
    frame, level = sys._getframe(1), 1  # noqa: SLF001 (documented, in spite of its name)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == package:
        frame, level = frame.f_back, level + 1
    return level


def impossible_stops(sampling: Sampling, metadata: Metadata) -> list[str]:
    """Return the stop texts that the vocabulary cannot produce. They have no effect."""
    can_encode = metadata.tokenizer.can_encode
    return [text for text in sampling.stop if not can_encode(metadata.normalize(text))]


def impossible_stop_message(text: str) -> str:
    """Return the warning about a stop text that the vocabulary cannot produce."""
    return f"the stop text {quote(text)} has characters outside the vocabulary: it has no effect"


def missed_stops(sampling: Sampling, metadata: Metadata) -> list[str]:
    """Return the stop texts that a model of words may miss: they have a character of which words consist.

    The automaton of stop texts reads tokens. It finds a stop text only where exactly its tokens were drawn:
    not within a word, and not where its last space is a part of the next word.
    """
    if not sampling.stop or metadata.tokenizer.level != WORD:
        return []
    in_words = set("".join([symbol for symbol in metadata.tokenizer.symbols if len(symbol) > 1]))
    return [text for text in sampling.stop if not in_words.isdisjoint(metadata.normalize(text))]


def checked_stops(sampling: Sampling, metadata: Metadata) -> tuple[Sampling, list[str]]:
    """Return the sampling without the stop texts that the vocabulary cannot produce, and warnings.

    There is a warning about each of these, and about each that a model of words may miss.
    """
    impossible = impossible_stops(sampling, metadata)
    if impossible:
        sampling = sampling.replace(stop=[text for text in sampling.stop if text not in impossible])
    missed = [
        f"the stop text {quote(text)} may be missed, because the model draws whole words: use line ends or "
        "ASCII punctuation marks alone"
        for text in missed_stops(sampling, metadata)
    ]
    return sampling, [*map(impossible_stop_message, impossible), *missed]


def _compile_constraint(
    chosen: str, sampling: Sampling, metadata: Metadata, banned: AbstractSet[int]
) -> "Constraint":
    """Return the constraint that a parameter describes. Its errors have this parameter."""
    try:
        constraint = _compile(chosen, sampling, metadata)
        return _without(constraint, banned) if banned else constraint
    except ConstraintError as error:
        error.parameter = chosen
        raise


@lru_cache(maxsize=16)
def _without(constraint: "Constraint", banned: AbstractSet[int]) -> "Constraint":
    """Return a constraint without the banned tokens. A saved text has the digest of the whole constraint."""
    try:
        return constraint.without(banned)
    except ConstraintError:
        raise ConstraintError(
            "no text matches without the characters that ",
            Name("allowed"),
            " and ",
            Name("banned"),
            " exclude",
        ) from None


def _compile(chosen: str, sampling: Sampling, metadata: Metadata) -> "Constraint":
    # Imported on use: most texts have no constraint.
    from textgen_runtime.constraints import compile_constraint

    tokenizer = metadata.tokenizer
    value = getattr(sampling, chosen)
    if chosen == "choices":
        value = tuple(metadata.normalize(text) for text in value)
    excluded = frozenset(tokenizer.special.by_name.values())
    return compile_constraint(
        chosen, value, tuple(tokenizer.symbols), excluded, of_bytes=tokenizer.level == BYTE
    )


def _tokens_by_symbol(tokenizer: Tokenizer) -> dict[str, int]:
    # Entries of bytes from U+0080 on do not stand for these characters.
    only_ascii = tokenizer.level == BYTE
    return {
        symbol: token
        for token, symbol in enumerate(tokenizer.symbols)
        if symbol and (symbol.isascii() or not only_ascii)
    }


def _bias_tokens(sampling: Sampling, tokenizer: Tokenizer) -> dict[int, float]:
    tokens = _tokens_by_symbol(tokenizer)
    missing = [symbol for symbol, _ in sampling.logit_bias if symbol not in tokens]
    if missing:
        raise SamplingError(
            Name("logit_bias"),
            f" has characters outside the model's vocabulary: {quote(', '.join(missing))}: omit them",
        )
    return {tokens[symbol]: bias for symbol, bias in sampling.logit_bias if bias}


@lru_cache(maxsize=16)
def _banned_tokens(
    allowed: tuple[str, ...] | None, banned: tuple[str, ...], tokenizer: Tokenizer
) -> AbstractSet[int]:
    """Return the tokens that are not allowed, or that are banned. A word is as its characters are."""
    tokens = _tokens_by_symbol(tokenizer)
    everything = frozenset(range(len(tokenizer))) - {*tokenizer.special.by_name.values()}
    out = frozenset(banned)
    left = everything - {
        token for symbol, token in tokens.items() if symbol in out or not out.isdisjoint(symbol)
    }
    if allowed is not None:
        kept = frozenset(allowed)
        left &= {token for symbol, token in tokens.items() if symbol in kept or kept.issuperset(symbol)}
    if not left:
        raise SamplingError(
            Name("allowed"),
            " and ",
            Name("banned"),
            " leave no character of the model's vocabulary: allow more, or ban fewer",
        )
    return everything - left
