"""Datasets: a corpus that is normalized, split into training and held-out text, and encoded as tokens."""

import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from textgen_runtime.corpora.corpus import Corpus
from textgen_runtime.text.character_tokenizer import CharacterTokenizer
from textgen_runtime.text.normalization import Normalization
from textgen_runtime.text.special_tokens import SpecialTokens
from textgen_runtime.text.split import held_out_start
from textgen_runtime.text.symbols import format_symbols

from textgen_train.errors import CorpusError

from .symbols import CODE_POINTS, count_symbols, encode_chunks, first_characters
from .token_array import Tokens, TokenWriter, count_tokens

# Shorter texts are too short to train on, or to give a meaningful loss.
MIN_TRAINING_CHARACTERS = 128
MIN_HELD_OUT_CHARACTERS = 8

# The share of a text that is held out by default, and the maximum number of characters of that part. More
# characters would make evaluations slower, but the loss hardly more precise.
HELD_OUT_SHARE = 0.1
MAX_HELD_OUT_CHARACTERS = 1_000_000

EXCERPT_LENGTH = 60
EXCERPT_CANDIDATES = 5
# Number of characters in which an excerpt is searched if no candidate has any text.
EXCERPT_REGION = 1_000_000


@dataclass(frozen=True)
class Dataset:
    """A training text and a held-out text as tokens.

    Attributes:
        tokenizer: Vocabulary of both texts, so that the held-out text can be scored. The symbols are in code
            point order. If rare symbols were replaced, token 0 is the unknown symbol. The vocabulary of a
            model that is trained further may have another order.
        normalization: The normalization that was applied to both texts.
        training: Tokens of the training text, shape [characters], of the smallest unsigned type. Those of a
            large corpus are in a memory-mapped file.
        held_out: Tokens of the held-out text, shape [characters], of the same type; never trained on.
        before_held_out: The input token from which the first token of ``held_out`` is predicted. This is the
            last training token, or the first token of a separate held-out text. In the second case,
            ``held_out`` does not contain it.
        rare_count: Number of symbols that the unknown symbol replaces; 0 without an unknown symbol.
        held_out_share: The share of the corpus that is held out, at its end; None for a separate held-out
            text. ``textgen-eval --last`` selects the same part by this share.
    """

    tokenizer: CharacterTokenizer
    normalization: Normalization
    training: Tokens
    held_out: Tokens
    before_held_out: int
    rare_count: int = 0
    held_out_share: float | None = None

    @cached_property
    def unknown_shares(self) -> tuple[float, float]:
        """The shares of the unknown symbol in the training text and in the held-out text, in [0, 1]."""
        unknown = self.tokenizer.unknown
        if unknown is None:
            return 0.0, 0.0
        training, held_out = (
            float(count_tokens(tokens, len(self.tokenizer))[unknown] / len(tokens))
            for tokens in (self.training, self.held_out)
        )
        return training, held_out

    def draw_excerpt(self, rng: random.Random) -> str:
        """Return a random excerpt of the training text, to use as a prompt.

        Several candidates are drawn, and the one with the most distinct characters is returned. This avoids
        lines of dashes, tables and blank lines, which are poor prompts.
        """
        candidates = [self._draw_candidate(rng) for _ in range(EXCERPT_CANDIDATES)]
        best = max(candidates, key=lambda candidate: len(set(candidate)))
        # A candidate is empty if all its symbols are unknown. If all candidates are empty, use the longest
        # known text instead.
        return best or self.tokenizer.decode(
            self._longest_known_run(self.training[:EXCERPT_REGION])[:EXCERPT_LENGTH]
        )

    def _longest_known_run(self, tokens: Tokens) -> Tokens:
        """Return the longest run of tokens without the unknown symbol, which has no text."""
        if self.tokenizer.unknown is None:
            return tokens
        unknown = np.flatnonzero(tokens == self.tokenizer.unknown)
        bounds = np.concatenate([[-1], unknown, [len(tokens)]])
        longest = int(np.diff(bounds).argmax())
        return tokens[bounds[longest] + 1 : bounds[longest + 1]]

    def _draw_candidate(self, rng: random.Random) -> str:
        """Return an excerpt from a random position. It begins at a word boundary if possible."""
        latest = len(self.training) - EXCERPT_LENGTH
        start = rng.randint(0, latest)
        tokens = self._longest_known_run(self.training[start : start + 2 * EXCERPT_LENGTH])
        text = self.tokenizer.decode(tokens)
        words = [i + 1 for i, symbol in enumerate(text[:EXCERPT_LENGTH]) if symbol.isspace()]
        begin = words[0] if words and words[0] + EXCERPT_LENGTH <= len(text) else 0
        return text[begin : begin + EXCERPT_LENGTH]


def make_dataset(  # noqa: PLR0913 (keywords, most with defaults)
    corpus: Corpus,
    normalization: Normalization,
    held_out: float | Corpus | None = None,
    min_count: int = 1,
    *,
    tokenizer: CharacterTokenizer | None = None,
    extend: bool = False,
    folder: Path | None = None,
    on_read: Callable[[int], None] | None = None,
) -> Dataset:
    """Normalize, split and encode a corpus.

    The corpus is read twice: its symbols are counted, then encoded. It is never in memory as a whole.

    Args:
        corpus: The corpus to train on.
        normalization: The normalization to apply to all text.
        held_out: The share of the corpus to hold out, taken from its end, in (0, 1); or a separate corpus.
            None holds out the last tenth, but at most a million characters.
        min_count: Symbols that occur less often in the training text are replaced by one unknown symbol. The
            unknown symbol is predicted and scored, but never drawn. With 1, no symbol is replaced.
        tokenizer: The vocabulary of a model that is trained further. None makes it from the corpus.
        extend: Whether to add new symbols of the corpus to ``tokenizer``, after its other symbols. Otherwise
            the unknown symbol replaces them.
        folder: Where the tokens of a large corpus are stored, in a file without a name; None for the system's
            folder of temporary files.
        on_read: Called with the number of bytes of each chunk that is read.

    Returns:
        The dataset. Each of its tokens is one character.

    Raises:
        CorpusError: If the training or held-out text is too short, if all characters are equal, if no symbol
            occurs ``min_count`` times, if ``tokenizer`` lacks symbols and is not extended, or if the corpus
            has changed while it was read.
        TextFileError: If the corpus cannot be read.
        OutputError: If the tokens cannot be stored.
    """

    def normalized(source: Corpus) -> Iterator[str]:
        return normalization.apply_chunks(source.chunks(on_read))

    counts = count_symbols(normalized(corpus))
    length = int(counts.sum())
    share = None
    if isinstance(held_out, Corpus):
        start, all_counts = length, counts + count_symbols(normalized(held_out))
    else:
        share = _default_share(length) if held_out is None else held_out
        start, all_counts = held_out_start(length, share), counts
    symbols = np.flatnonzero(all_counts)
    _check_symbols(corpus, symbols)
    _check_lengths(corpus, held_out, start, int(all_counts.sum()) - start)
    if min_count > 1 and start < length:
        counts = count_symbols(first_characters(normalized(corpus), start))
    if tokenizer is None:
        tokenizer = _make_tokenizer(corpus, symbols, counts, min_count)
    elif new := [text for text in map(chr, symbols) if not tokenizer.can_encode(text)]:
        tokenizer = _add_symbols(corpus, tokenizer, new, extend=extend)
    table = _token_table(tokenizer)
    tokens = encode_chunks(normalized(corpus), table, TokenWriter(len(tokenizer), folder))
    training, held_out_tokens, before = tokens[:start], tokens[start:], int(tokens[start - 1])
    if isinstance(held_out, Corpus):
        tokens = encode_chunks(normalized(held_out), table, TokenWriter(len(tokenizer), folder))
        before, held_out_tokens = int(tokens[0]), tokens[1:]
    rare_count = sum(not tokenizer.can_encode(chr(symbol)) for symbol in symbols)
    return Dataset(tokenizer, normalization, training, held_out_tokens, before, rare_count, share)


def _default_share(length: int) -> float:
    """Return the default share of a text to hold out."""
    if length * HELD_OUT_SHARE <= MAX_HELD_OUT_CHARACTERS:
        return HELD_OUT_SHARE
    # Four digits, rounded down, so that a person can pass the share to textgen-eval.
    digits = 3 - math.floor(math.log10(MAX_HELD_OUT_CHARACTERS / length))
    return math.floor(10.0**digits * MAX_HELD_OUT_CHARACTERS / length) / 10.0**digits


def _check_symbols(corpus: Corpus, symbols: NDArray[np.int64]) -> None:
    if len(symbols) == 1:
        raise CorpusError(
            f"the corpus {corpus.name} contains only the character {chr(symbols[0])!r}: training needs at "
            "least two different characters"
        )


def _check_lengths(corpus: Corpus, source: float | Corpus | None, training: int, held_out: int) -> None:
    """Check the numbers of training characters and held-out characters; ``source`` is that of the latter."""
    if isinstance(source, Corpus) and held_out < MIN_HELD_OUT_CHARACTERS:
        raise CorpusError(
            f"the held-out text {source.name} is too short: it has {held_out} characters, and at least "
            f"{MIN_HELD_OUT_CHARACTERS} are needed"
        )
    if training < MIN_TRAINING_CHARACTERS or held_out < MIN_HELD_OUT_CHARACTERS:
        raise CorpusError(
            f"the corpus {corpus.name} is too short: it has {training} training characters and {held_out} "
            f"held-out characters, and at least {MIN_TRAINING_CHARACTERS} and {MIN_HELD_OUT_CHARACTERS} are "
            "needed"
        )


def _make_tokenizer(
    corpus: Corpus, symbols: NDArray[np.int64], counts: NDArray[np.int64], min_count: int
) -> CharacterTokenizer:
    """Return the tokenizer of a corpus.

    If no symbol is rare, its vocabulary is all symbols. Otherwise it is the unknown symbol, which is token 0,
    and the frequent symbols.

    Args:
        corpus: The corpus, for messages.
        symbols: Code points of all characters, sorted.
        counts: How often each character occurs in the training text, by code point.
        min_count: As for ``make_dataset``.
    """
    frequent = symbols if min_count <= 1 else symbols[counts[symbols] >= min_count]
    if not len(frequent):
        raise CorpusError(
            f"no symbol occurs at least {min_count} times in the training text of the corpus {corpus.name}: "
            "lower --min-count"
        )
    has_rare = len(frequent) < len(symbols)
    texts = [""] * has_rare + [chr(symbol) for symbol in frequent]
    return CharacterTokenizer(texts, SpecialTokens(unknown=0 if has_rare else None))


def _add_symbols(
    corpus: Corpus, tokenizer: CharacterTokenizer, new: list[str], *, extend: bool
) -> CharacterTokenizer:
    """Return the tokenizer of a model for a corpus with new symbols: extended, or with an unknown symbol."""
    if extend:
        return CharacterTokenizer((*tokenizer.symbols, *new), tokenizer.special)
    if tokenizer.unknown is None:
        raise CorpusError(
            f"the corpus {corpus.name} has symbols that the model does not know: {format_symbols(new)}; add "
            "them to the model with --extend"
        )
    return tokenizer


def _token_table(tokenizer: CharacterTokenizer) -> Tokens:
    """Return the token of each code point. Characters outside the vocabulary have that of the unknown symbol.

    Returns:
        Shape [``CODE_POINTS``], of the smallest unsigned type.
    """
    table = np.full(CODE_POINTS, tokenizer.unknown or 0, np.min_scalar_type(len(tokenizer) - 1))
    for token, symbol in enumerate(tokenizer.symbols):
        if symbol:
            table[ord(symbol)] = token
    return table
