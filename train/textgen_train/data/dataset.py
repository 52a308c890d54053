"""Datasets: a corpus that is normalized, split into training and held-out text, and encoded as tokens."""

import math
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from textgen_runtime.corpora.corpus import Corpus
from textgen_runtime.text.character_tokenizer import CharacterTokenizer
from textgen_runtime.text.normalization import Normalization
from textgen_runtime.text.records import RecordKind
from textgen_runtime.text.special_tokens import SpecialTokens
from textgen_runtime.text.symbols import format_symbols

from textgen_train.errors import CorpusError

from .excerpts import draw_excerpt
from .parts import Block, Reader
from .records import record_parts
from .symbols import CODE_POINTS, CharacterEncoder, count_symbols
from .token_array import Tokens, TokenWriter, count_tokens

# Shorter texts are too short to train on, or to give a meaningful loss.
MIN_TRAINING_CHARACTERS = 128
MIN_HELD_OUT_CHARACTERS = 8

# The share of a text that is held out by default, and the maximum number of characters of that part. More
# characters would make evaluations slower, but the loss hardly more precise.
HELD_OUT_SHARE = 0.1
MAX_HELD_OUT_CHARACTERS = 1_000_000


@dataclass(frozen=True)
class Dataset:
    """A training text and a held-out text as tokens, or records of both kinds.

    Attributes:
        tokenizer: Vocabulary of both texts, so that the held-out text can be scored. The symbols are in code
            point order. If rare symbols were replaced, token 0 is the unknown symbol. With records, the last
            two tokens are ``begin`` and ``end``. The vocabulary of a model that is trained further may have
            another order.
        normalization: The normalization that was applied to both texts.
        training: Tokens of the training text, shape [tokens], of the smallest unsigned type. Those of a
            large corpus are in a memory-mapped file. With records, each record is followed by ``end``.
        held_out: Tokens of the held-out text, shape [tokens], of the same type; never trained on. With
            records, each record is followed by ``end``.
        before_held_out: The input token from which the first token of ``held_out`` is predicted. This is the
            last training token, or the first token of a separate held-out text. In the second case,
            ``held_out`` does not contain it. With records, it is ``begin``.
        rare_count: Number of symbols that the unknown symbol replaces; 0 without an unknown symbol.
        held_out_share: The share of the corpus that is held out, at its end or of its records; None for a
            separate held-out text. ``textgen-eval --last`` selects the same part by this share.
        records: The kind of records; None for continuous text.
    """

    tokenizer: CharacterTokenizer
    normalization: Normalization
    training: Tokens
    held_out: Tokens
    before_held_out: int
    rare_count: int = 0
    held_out_share: float | None = None
    records: RecordKind | None = None

    @cached_property
    def unknown_shares(self) -> tuple[float, float]:
        """The shares of the unknown symbol in the training text and in the held-out text, in [0, 1]."""
        training, held_out = self._count(self.tokenizer.unknown)
        return training / len(self.training), held_out / len(self.held_out)

    @cached_property
    def record_counts(self) -> tuple[int, int]:
        """The numbers of training records and of held-out records; 0 without records."""
        return self._count(self.tokenizer.special.end)

    def first_held_out(self, count: int) -> "Dataset":
        """Return this dataset with only the first ``count`` tokens of the held-out text.

        Records stay complete. If the first record is longer, it is the only one.
        """
        end = self.tokenizer.special.end
        if end is not None:
            _, count = next(record_parts(self.held_out, end, count))
        return replace(self, held_out=self.held_out[:count])

    def draw_excerpt(self, rng: random.Random) -> str:
        """Return a random excerpt of the training text, to use as a prompt."""
        return draw_excerpt(self.training, self.tokenizer, rng)

    def _count(self, token: int | None) -> tuple[int, int]:
        """Return how often a token occurs in the training text and in the held-out text."""
        if token is None:
            return 0, 0
        size = len(self.tokenizer)
        return int(count_tokens(self.training, size)[token]), int(count_tokens(self.held_out, size)[token])


def make_dataset(  # noqa: PLR0913 (keywords, most with defaults)
    corpus: Corpus,
    normalization: Normalization,
    held_out: float | Corpus | None = None,
    min_count: int = 1,
    *,
    tokenizer: CharacterTokenizer | None = None,
    extend: bool = False,
    records: RecordKind | None = None,
    folder: Path | None = None,
    on_read: Callable[[int], None] | None = None,
) -> Dataset:
    """Normalize, split and encode a corpus.

    The corpus is read twice: its symbols are counted, then encoded. It is never in memory as a whole.

    Args:
        corpus: The corpus to train on.
        normalization: The normalization to apply to all text.
        held_out: The share of the corpus to hold out, taken from its end, in (0, 1); or a separate corpus.
            None holds out the last tenth, but at most a million characters. With ``records``, the share of
            the records, which ``is_held_out`` selects.
        min_count: Symbols that occur less often in the training text are replaced by one unknown symbol. The
            unknown symbol is predicted and scored, but never drawn. With 1, no symbol is replaced.
        tokenizer: The vocabulary of a model that is trained further. None makes it from the corpus.
        extend: Whether to add new symbols of the corpus to ``tokenizer``, after its other symbols. Otherwise
            the unknown symbol replaces them.
        records: How the records of the corpus are separated; None for continuous text.
        folder: Where the tokens of a large corpus are stored, in a file without a name; None for the system's
            folder of temporary files.
        on_read: Called with the number of bytes of each chunk that is read.

    Returns:
        The dataset. Each of its tokens is one character, or the end of a record.

    Raises:
        CorpusError: If the training or held-out text is too short, if all characters are equal, if no symbol
            occurs ``min_count`` times, if ``tokenizer`` lacks symbols and is not extended, or if the corpus
            has changed while it was read.
        TextFileError: If the corpus cannot be read.
        OutputError: If the tokens cannot be stored.
    """
    reader = Reader(normalization, records, on_read)
    counts = all_counts = count_symbols(reader.texts(corpus))
    length, share = int(counts.sum()), 0.0
    if isinstance(held_out, Corpus):
        all_counts = counts + count_symbols(reader.texts(held_out))
    else:
        share = _default_share(length) if held_out is None else held_out
    symbols = np.flatnonzero(all_counts)
    _check_symbols(corpus, symbols)
    if min_count > 1 and share:
        blocks = reader.blocks(corpus, share, length)
        counts = count_symbols("".join(block.training) for block in blocks)
    if tokenizer is None:
        tokenizer = _make_tokenizer(corpus, symbols, counts, min_count, has_records=records is not None)
    else:
        tokenizer = _add_symbols(corpus, tokenizer, symbols, extend=extend)
    vocabulary_size, begin, end = len(tokenizer), tokenizer.special.begin, tokenizer.special.end
    encoder = CharacterEncoder(_token_table(tokenizer))

    def encode(blocks: Iterable[Block]) -> tuple[Tokens, Tokens]:
        writers = TokenWriter(vocabulary_size, folder), TokenWriter(vocabulary_size, folder)
        for block in blocks:
            for texts, writer in zip(block, writers, strict=True):
                if texts:
                    writer.append(encoder.encode_all(texts, end))
        return writers[0].finish(), writers[1].finish()

    training, held_out_tokens = encode(reader.blocks(corpus, share, length))
    if isinstance(held_out, Corpus):
        held_out_tokens, _ = encode(reader.blocks(held_out))
    _check_parts(corpus, held_out, training, held_out_tokens, records=records is not None)
    before = int(training[-1]) if begin is None else begin
    if isinstance(held_out, Corpus) and records is None:
        before, held_out_tokens = int(held_out_tokens[0]), held_out_tokens[1:]
    return Dataset(
        tokenizer,
        normalization,
        training,
        held_out_tokens,
        before,
        len(_unknown_symbols(tokenizer, symbols)),
        None if isinstance(held_out, Corpus) else share,
        records,
    )


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


def _check_parts(
    corpus: Corpus, source: float | Corpus | None, training: Tokens, held_out: Tokens, *, records: bool
) -> None:
    """Check the sizes of the training part and of the held-out part; ``source`` is that of the latter."""
    if records and not (len(training) and len(held_out)):
        raise CorpusError(
            f"the corpus {corpus.name} has too few records: all of them, and all copies, are in the "
            f"{'training' if len(training) else 'held-out'} part; add records, change --held-out, or pass "
            "--held-out-file"
        )
    if isinstance(source, Corpus) and len(held_out) < MIN_HELD_OUT_CHARACTERS:
        raise CorpusError(
            f"the held-out text {source.name} is too short: it has {len(held_out)} characters, and at least "
            f"{MIN_HELD_OUT_CHARACTERS} are needed"
        )
    if len(training) < MIN_TRAINING_CHARACTERS or len(held_out) < MIN_HELD_OUT_CHARACTERS:
        raise CorpusError(
            f"the corpus {corpus.name} is too short: it has {len(training)} training characters and "
            f"{len(held_out)} held-out characters, and at least {MIN_TRAINING_CHARACTERS} and "
            f"{MIN_HELD_OUT_CHARACTERS} are needed"
        )


def _make_tokenizer(
    corpus: Corpus,
    symbols: NDArray[np.int64],
    counts: NDArray[np.int64],
    min_count: int,
    *,
    has_records: bool,
) -> CharacterTokenizer:
    """Return the tokenizer of a corpus.

    If no symbol is rare, its vocabulary is all symbols. Otherwise it is the unknown symbol, which is token 0,
    and the frequent symbols. ``begin`` and ``end`` follow.

    Args:
        corpus: The corpus, for messages.
        symbols: Code points of all characters, sorted.
        counts: How often each character occurs in the training text, by code point.
        min_count: As for ``make_dataset``.
        has_records: Whether the corpus has records.
    """
    frequent = symbols if min_count <= 1 else symbols[counts[symbols] >= min_count]
    if not len(frequent):
        raise CorpusError(
            f"no symbol occurs at least {min_count} times in the training text of the corpus {corpus.name}: "
            "lower --min-count"
        )
    has_rare = len(frequent) < len(symbols)
    texts = [""] * has_rare + [chr(symbol) for symbol in frequent]
    begin = len(texts) if has_records else None
    special = SpecialTokens(0 if has_rare else None, begin, None if begin is None else begin + 1)
    return CharacterTokenizer([*texts, *[""] * (2 * has_records)], special)


def _unknown_symbols(tokenizer: CharacterTokenizer, symbols: NDArray[np.int64]) -> list[str]:
    """Return the symbols that are not in a vocabulary."""
    return [symbol for symbol in map(chr, symbols) if not tokenizer.can_encode(symbol)]


def _add_symbols(
    corpus: Corpus, tokenizer: CharacterTokenizer, symbols: NDArray[np.int64], *, extend: bool
) -> CharacterTokenizer:
    """Return the tokenizer of a model for a corpus: extended by its new symbols, or unchanged."""
    new = _unknown_symbols(tokenizer, symbols)
    if new and extend:
        return CharacterTokenizer((*tokenizer.symbols, *new), tokenizer.special)
    if new and tokenizer.unknown is None:
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
