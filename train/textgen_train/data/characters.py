"""The text of tokens, and the number of their characters: losses of all levels are per character."""

import codecs

import numpy as np
from numpy.typing import NDArray
from textgen_runtime.text.byte_tokenizer import BYTES_TO_TEXT
from textgen_runtime.text.levels import BYTE, CHARACTER
from textgen_runtime.text.tokenizer import Tokenizer

from .token_array import Tokens, count_tokens, token_blocks

LINE_END = ord("\n")


def text_of(tokens: Tokens, tokenizer: Tokenizer) -> str:
    """Return the text of some tokens.

    The end of a record is a line end, and the unknown symbol is U+FFFD. Bytes that are not UTF-8 are U+DC80
    to U+DCFF.
    """
    special = tokenizer.special
    if tokenizer.level == BYTE:
        return _content(tokens, special.end).decode("utf-8", BYTES_TO_TEXT)
    if not special.by_name:
        return tokenizer.decode(tokens.tolist())
    ends, texts = (tokens == special.end).tolist(), tokenizer.decode_each(tokens.tolist())
    return "".join(["\n" if is_end else text for is_end, text in zip(ends, texts, strict=True)])


def count_characters(tokens: Tokens, tokenizer: Tokenizer) -> int:
    """Return the number of characters of some tokens, which is the length of their text.

    The end of a record counts as one character, and so does a byte that is not UTF-8.
    """
    if tokenizer.level == CHARACTER:
        return len(tokens)
    if tokenizer.level != BYTE:
        return int(count_tokens(tokens, len(tokenizer)) @ symbol_lengths(tokenizer))
    decoder = codecs.getincrementaldecoder("utf-8")(BYTES_TO_TEXT)
    blocks = (_content(block, tokenizer.special.end) for block in token_blocks(tokens))
    return sum(len(decoder.decode(block)) for block in blocks) + len(decoder.decode(b"", final=True))


def count_characters_after(before: int, tokens: Tokens, tokenizer: Tokenizer) -> int:
    """Return the number of characters of tokens that end after ``before``, the token before them.

    A character of several bytes belongs to its last byte, also if ``before`` is its first byte.
    """
    if tokenizer.level != BYTE or before == tokenizer.special.begin:
        return count_characters(tokens, tokenizer)
    both = np.concatenate([[before], tokens[:3]])
    start = text_of(both, tokenizer)
    is_whole = len(start[0].encode("utf-8", BYTES_TO_TEXT)) == 1
    return (
        len(start) - is_whole - count_characters(tokens[:3], tokenizer) + count_characters(tokens, tokenizer)
    )


def symbol_lengths(tokenizer: Tokenizer) -> NDArray[np.int64]:
    """Return the number of characters of each symbol, shape [vocabulary], int64; 1 for a special token."""
    return np.array([len(symbol) or 1 for symbol in tokenizer.symbols], np.int64)


def _content(tokens: Tokens, end: int | None) -> bytes:
    """Return tokens of a byte-level vocabulary as bytes. The end of a record is a line end."""
    if end is not None:
        tokens = np.where(tokens == end, LINE_END, tokens)
    return tokens.astype(np.uint8).tobytes()
