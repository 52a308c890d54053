"""The vocabulary of a corpus, by level. Its frequent words become symbols of a word-level vocabulary."""

from collections import Counter
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray
from textgen_runtime.corpus import Corpus
from textgen_runtime.errors import Name, quote
from textgen_runtime.model_file import make_tokenizer
from textgen_runtime.tokenizer import (
    BYTE_SYMBOLS,
    NO_SPECIAL_TOKENS,
    SpecialTokens,
    Tokenizer,
    format_symbols,
)

from textgen_train.data.words import is_symbol, piece_pattern
from textgen_train.errors import CorpusError

from .parts import Block

# Rarer words are spelled with their characters.
MIN_OCCURRENCES = 3

# If a text has more different pieces, the rarest are no longer counted. This bounds the memory to about
# 200 MB.
MAX_COUNTED_PIECES = 1_000_000

# Number of characters at the end of a block in which a border of pieces is searched.
BORDER_REGION = 1024


def count_pieces(blocks: Iterable[Block], *, has_records: bool) -> Counter[str]:
    """Count the pieces of the training part: words, each with the space before it, and other characters."""
    counts: Counter[str] = Counter()
    dropped = 0
    for text in _whole_pieces(blocks, "\n" if has_records else ""):
        counts.update(piece_pattern().findall(text))
        while len(counts) > MAX_COUNTED_PIECES:
            dropped += 1
            counts = Counter({piece: count for piece, count in counts.items() if count > dropped})
    return counts


def frequent_pieces(counts: Counter[str], number: int) -> list[str]:
    """Return the most frequent pieces of several characters, the most frequent first."""
    pieces = [
        (-count, piece)
        for piece, count in counts.items()
        if count >= MIN_OCCURRENCES and len(piece) > 1 and is_symbol(piece)
    ]
    return [piece for _, piece in sorted(pieces)[:number]]


def _whole_pieces(blocks: Iterable[Block], separator: str) -> Iterator[str]:
    """Yield the training text in parts that end between two pieces."""
    rest = ""
    for block in blocks:
        text = rest + "".join([part + separator for part in block.training])
        border = max(text.rfind(" ", -BORDER_REGION), text.rfind("\n", -BORDER_REGION))
        border = len(text) if border < 0 else border
        yield text[:border]
        rest = text[border:]
    yield rest


def byte_tokenizer(*, has_records: bool) -> Tokenizer:
    """Return the tokenizer of bytes. ``begin`` and ``end`` follow the bytes if there are records."""
    size = len(BYTE_SYMBOLS)
    special = SpecialTokens(None, size, size + 1) if has_records else NO_SPECIAL_TOKENS
    return make_tokenizer("byte", [*BYTE_SYMBOLS, *[""] * (2 * has_records)], special)


def frequent_characters(
    corpus: Corpus, symbols: NDArray[np.int64], counts: NDArray[np.int64], min_count: int
) -> list[str]:
    """Return the characters of a corpus that are not rare, after the entry of the unknown symbol, if any is.

    Args:
        symbols: Code points of all characters, sorted.
        counts: How often each character occurs in the training text, by code point.

    Raises:
        CorpusError: If all symbols are rare.
    """
    frequent = symbols if min_count <= 1 else symbols[counts[symbols] >= min_count]
    if not len(frequent):
        raise CorpusError(
            f"no symbol occurs at least {min_count} times in the training text of the corpus {corpus.name}: "
            "lower ",
            Name("min_count"),
        )
    return [""] * (len(frequent) < len(symbols)) + [chr(symbol) for symbol in frequent]


def character_tokenizer(characters: list[str], *, has_records: bool) -> Tokenizer:
    """Return the tokenizer of these characters. ``begin`` and ``end`` follow them if there are records."""
    return make_tokenizer("character", *_with_special(characters, has_records=has_records))


def word_tokenizer(
    corpus: Corpus, characters: list[str], pieces: Counter[str], size: int, *, has_records: bool
) -> Tokenizer:
    """Return the tokenizer of these characters and of the frequent words of a corpus.

    Raises:
        CorpusError: If there is only one word, or if the characters leave no room for words.
    """
    words = {piece.strip() for piece in pieces} - {""}
    if len(words) == 1:
        raise CorpusError(
            f"the training text of {corpus.name} contains only the word {quote(words.pop())}: training on "
            "words needs at least two different words; train without ",
            Name("level", "word"),
        )
    room = size - len(characters) - 2 * has_records
    if room < 1:
        raise CorpusError(
            f"the corpus {corpus.name} has {len(characters):,} different characters, which leave no room for "
            f"words in a vocabulary of {size:,}: raise ",
            Name("vocabulary_size"),
        )
    texts = [*characters, *frequent_pieces(pieces, room)]
    return make_tokenizer("word", *_with_special(texts, has_records=has_records))


def unknown_symbols(tokenizer: Tokenizer, symbols: NDArray[np.int64]) -> list[str]:
    """Return the characters that are not in a vocabulary."""
    return [symbol for symbol in map(chr, symbols) if not tokenizer.can_encode(symbol)]


def add_symbols(
    corpus: Corpus, tokenizer: Tokenizer, symbols: NDArray[np.int64], *, extend: bool
) -> Tokenizer:
    """Return the tokenizer of a model for a corpus: extended by its new symbols, or unchanged.

    Raises:
        CorpusError: If there are new symbols, but neither ``extend`` nor an unknown symbol.
    """
    new = unknown_symbols(tokenizer, symbols)
    if new and extend:
        return make_tokenizer(tokenizer.level, (*tokenizer.symbols, *new), tokenizer.special)
    if new and tokenizer.unknown is None:
        raise CorpusError(
            f"the corpus {corpus.name} has symbols that the model does not know: {format_symbols(new)}; add "
            "them to the model with ",
            Name("extend"),
        )
    return tokenizer


def _with_special(texts: list[str], *, has_records: bool) -> tuple[list[str], SpecialTokens]:
    """Return the entries of a vocabulary with those of ``begin`` and ``end``, and its special tokens."""
    begin = len(texts) if has_records else None
    special = SpecialTokens(None if texts[0] else 0, begin, None if begin is None else begin + 1)
    return [*texts, *[""] * (2 * has_records)], special
