"""A corpus that is read in parts: its training part and its held-out part, its symbols, and its encoders."""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from textgen_runtime.corpus import Corpus
from textgen_runtime.errors import CorpusError, Name
from textgen_runtime.text import (
    SEPARATORS,
    Normalization,
    RecordKind,
    held_out_start,
    is_held_out,
    iterate_records,
)
from textgen_runtime.tokenizer import BYTE, BYTES_TO_TEXT, WORD, Tokenizer

from textgen_train.data.words import MAX_SYMBOL_LENGTH

from .tokens import Tokens, count_tokens, symbol_lengths

# Number of characters of records that are processed together.
BLOCK_CHARACTERS = 2**20

# A longer record is an error, because records are in memory as a whole.
MAX_RECORD_CHARACTERS = 2**26


class Block(NamedTuple):
    """Consecutive parts of a corpus.

    Attributes:
        training: Records that are trained on; without records, consecutive parts of the training text.
        held_out: The same of the held-out part.
    """

    training: list[str]
    held_out: list[str]


@dataclass(frozen=True)
class Reader:
    """Reads corpora in blocks of normalized text.

    Attributes:
        normalization: Applied to the text; None for bytes, which are never normalized.
    """

    normalization: Normalization | None
    records: RecordKind | None = None
    on_read: Callable[[int], None] | None = None

    def blocks(self, corpus: Corpus, share: float = 0.0, characters: int = 0) -> Iterator[Block]:
        """Yield a corpus in blocks. The errors are those of ``Corpus.chunks``.

        Args:
            share: Share of the corpus to hold out: the last part of a text, or the records that
                ``is_held_out`` selects.
            characters: Number of characters of a text; not used for records.

        Raises:
            CorpusError: If a record is too long.
            ValueError: If the files of a folder were joined for another kind of records.
        """
        if len(corpus.files) > 1 and corpus.records != self.records:
            raise ValueError(
                f"the files of {corpus.name} were joined for records={corpus.records!r}: pass "
                f"records={self.records!r} to read_corpus"
            )
        chunks = corpus.chunks(self.on_read)
        if self.normalization is not None:
            chunks = self.normalization.apply_chunks(chunks)
        if self.records is None:
            return _text_blocks(chunks, held_out_start(characters, share) if share else None)
        checked = _check_lengths(chunks, SEPARATORS[self.records], corpus.name)
        return _record_blocks(iterate_records(checked, self.records), share)

    def texts(self, corpus: Corpus) -> Iterator[str]:
        """Yield the text of a corpus without what separates records; the errors are those of ``blocks``."""
        return ("".join(block.training) for block in self.blocks(corpus))


def _text_blocks(chunks: Iterable[str], start: int | None) -> Iterator[Block]:
    """Yield a text. If ``start`` is not None, it is the index of the first held-out character."""
    for chunk in chunks:
        cut = len(chunk) if start is None else max(0, min(start, len(chunk)))
        yield Block([chunk[:cut]] if cut else [], [chunk[cut:]] if cut < len(chunk) else [])
        start = None if start is None else start - len(chunk)


def _record_blocks(records: Iterable[str], share: float) -> Iterator[Block]:
    block, characters = Block([], []), 0
    for record in records:
        (block.held_out if share and is_held_out(record, share) else block.training).append(record)
        characters += len(record) + 1
        if characters >= BLOCK_CHARACTERS:
            yield block
            block, characters = Block([], []), 0
    yield block


def _check_lengths(chunks: Iterable[str], separator: str, name: str) -> Iterator[str]:
    length = 0
    for chunk in chunks:
        found = chunk.rfind(separator)
        length = len(chunk) - found if found >= 0 else length + len(chunk)
        if length > MAX_RECORD_CHARACTERS:
            raise CorpusError(
                f"the corpus {name} has a record of more than {MAX_RECORD_CHARACTERS:,} characters: train "
                "without ",
                Name("records"),
                ", or with another kind of records",
            )
        yield chunk


CODE_POINTS = sys.maxunicode + 1
ASCII_SIZE = 256


def code_points(text: str) -> Tokens:
    """Return the code points of a text, shape [characters]: uint8 if it is ASCII, else uint32."""
    if text.isascii():
        return np.frombuffer(text.encode(), np.uint8)
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.dtype("<u4"))


def count_symbols(chunks: Iterable[str]) -> NDArray[np.int64]:
    """Return how often each character occurs in a text, by code point; shape [``CODE_POINTS``], int64."""
    counts = np.zeros(CODE_POINTS, np.int64)
    for chunk in chunks:
        codes = code_points(chunk)
        size = ASCII_SIZE if codes.dtype == np.uint8 else int(codes.max()) + 1
        counts[:size] += count_tokens(codes, size)
    return counts


def symbol_count(tokenizer: Tokenizer) -> int:
    """Return the number of symbols of a vocabulary.

    The unknown symbol counts; ``begin`` and ``end`` do not.
    """
    return sum(map(bool, tokenizer.symbols)) + (tokenizer.unknown is not None)


# Encodes one text, or the records of one list, with one token per symbol. The arguments are consecutive parts
# of the text or records, and the token to add after each record, or None for a text; the result has shape
# [tokens].
Encoder: TypeAlias = Callable[[Sequence[str], int | None], Tokens]


def character_encoder(tokenizer: Tokenizer) -> Encoder:
    """Return an encoder with one token per character. Unknown ones have the token of the unknown symbol."""
    # The token of each code point.
    known: Tokens = np.full(CODE_POINTS, tokenizer.unknown or 0, np.min_scalar_type(len(tokenizer) - 1))
    for token, symbol in enumerate(tokenizer.symbols):
        if symbol:
            known[ord(symbol)] = token
    # For one byte per character and token, bytes.translate is twice as fast as indexing.
    table = known[:ASCII_SIZE].tobytes() if known.dtype == np.uint8 else None

    def encode(texts: Sequence[str], end: int | None) -> Tokens:
        text = "".join(texts)
        tokens: Tokens
        if table and text.isascii():
            tokens = np.frombuffer(text.encode().translate(table), np.uint8)
        else:
            tokens = known[code_points(text)]
        if end is None:
            return tokens
        return np.insert(tokens, np.cumsum([len(record) for record in texts], dtype=np.int64), end)

    return encode


def encode_bytes(texts: Sequence[str], end: int | None) -> Tokens:
    """Encode texts with one token per byte of UTF-8. It is an ``Encoder``."""
    contents = [text.encode("utf-8", BYTES_TO_TEXT) for text in texts]
    tokens = np.frombuffer(b"".join(contents), np.uint8)
    if end is None:
        return tokens
    return np.insert(tokens.astype(np.uint16), np.cumsum([len(content) for content in contents]), end)


class WordEncoder:
    """An ``Encoder`` with the symbols of a word-level vocabulary. ``finish`` returns its last tokens.

    The tokens of a text do not depend on the parts in which it is read. A token is certain if the longest
    symbol would have ended with the text that is known. The text after the certain tokens is held back.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer, self._lengths = tokenizer, symbol_lengths(tokenizer)
        self._rest = ""

    def __call__(self, texts: Sequence[str], end: int | None) -> Tokens:
        if end is not None:
            return np.concatenate([[*self._tokenizer.encode(record), end] for record in texts])
        text = self._rest + "".join(texts)
        tokens = np.asarray(self._tokenizer.encode(text))
        ends = np.cumsum(self._lengths[tokens])
        starts = ends - self._lengths[tokens]
        certain = int(np.searchsorted(starts, len(text) - MAX_SYMBOL_LENGTH, side="right"))
        self._rest = text[ends[certain - 1] :] if certain else text
        return tokens[:certain]

    def finish(self) -> Tokens:
        """Return the tokens that were held back, shape [tokens]."""
        text, self._rest = self._rest, ""
        return np.asarray(self._tokenizer.encode(text))


def make_encoder(tokenizer: Tokenizer) -> Encoder:
    """Return an encoder for one text, or the records of one list."""
    if tokenizer.level == BYTE:
        return encode_bytes
    return WordEncoder(tokenizer) if tokenizer.level == WORD else character_encoder(tokenizer)
