"""Excerpts of a training text, which are the prompts of samples and the default prompts of a model."""

import random

import numpy as np
from textgen_runtime.text.levels import BYTE, CHARACTER
from textgen_runtime.text.tokenizer import Tokenizer

from .characters import symbol_lengths, text_of
from .token_array import Tokens

EXCERPT_LENGTH = 60
EXCERPT_CANDIDATES = 5
# Number of characters in which an excerpt is searched if no candidate has any text.
EXCERPT_REGION = 1_000_000

# The characters that stand for bytes that are not UTF-8.
_NOT_UTF8 = "".join(map(chr, range(0xDC80, 0xDD00)))


def draw_excerpt(tokens: Tokens, tokenizer: Tokenizer, rng: random.Random) -> str:
    """Return a random excerpt of a text.

    Several candidates are drawn, and the one with the most distinct characters is returned. This avoids lines
    of dashes, tables and blank lines, which are poor prompts.

    Args:
        tokens: The text, shape [tokens]; at least ``EXCERPT_LENGTH`` tokens.
        tokenizer: The tokenizer of the text.
        rng: Generator of the position.

    Returns:
        The excerpt, which consists of whole words at the level of words; "" if the bytes are not a text.
    """
    candidates = [_draw_candidate(tokens, tokenizer, rng) for _ in range(EXCERPT_CANDIDATES)]
    best = max(candidates, key=lambda candidate: len(set(candidate)))
    if best or tokenizer.level == BYTE:
        return best
    # A candidate is empty if all its symbols are unknown. If all candidates are empty, use the longest known
    # text instead.
    return tokenizer.decode(_longest_known_run(tokens[:EXCERPT_REGION], tokenizer.unknown)[:EXCERPT_LENGTH])


def _longest_known_run(tokens: Tokens, unknown: int | None) -> Tokens:
    """Return the longest run of tokens without the unknown symbol, which has no text."""
    if unknown is None:
        return tokens
    bounds = np.concatenate([[-1], np.flatnonzero(tokens == unknown), [len(tokens)]])
    longest = int(np.diff(bounds).argmax())
    return tokens[bounds[longest] + 1 : bounds[longest + 1]]


def _draw_candidate(tokens: Tokens, tokenizer: Tokenizer, rng: random.Random) -> str:
    """Return an excerpt from a random position. It begins at a word boundary if possible."""
    start = rng.randint(0, len(tokens) - EXCERPT_LENGTH)
    region = tokens[start : start + 2 * EXCERPT_LENGTH]
    if tokenizer.level == BYTE:
        text = _text_within(text_of(region, tokenizer))
    else:
        known = _longest_known_run(region, tokenizer.unknown)
        if tokenizer.level != CHARACTER:
            return _whole_words(known, tokenizer)
        text = tokenizer.decode(known)
    words = [i + 1 for i, symbol in enumerate(text[:EXCERPT_LENGTH]) if symbol.isspace()]
    begin = words[0] if words and words[0] + EXCERPT_LENGTH <= len(text) else 0
    return text[begin : begin + EXCERPT_LENGTH]


def _text_within(text: str) -> str:
    """Return a text of bytes without the parts of characters at its ends; "" if it is not a text."""
    text = text.strip(_NOT_UTF8)
    return "" if any(character in text for character in ("\0", *_NOT_UTF8)) else text


def _whole_words(tokens: Tokens, tokenizer: Tokenizer) -> str:
    """Return the text of the tokens from the first space on, up to the length of an excerpt."""
    starts = [i for i, token in enumerate(tokens.tolist()) if tokenizer.symbols[token][0].isspace()]
    begin = starts[0] if starts and starts[0] < EXCERPT_LENGTH else 0
    ends = np.cumsum(symbol_lengths(tokenizer)[tokens[begin:]])
    count = max(1, int(np.searchsorted(ends, EXCERPT_LENGTH, side="right")))
    text = tokenizer.decode(tokens[begin : begin + count].tolist())
    return text.lstrip() or text
