"""Excerpts of a training text, which are the prompts of samples and the default prompts of a model."""

import random

import numpy as np
from textgen_runtime.text.tokenizer import Tokenizer

from .token_array import Tokens

EXCERPT_LENGTH = 60
EXCERPT_CANDIDATES = 5
# Number of characters in which an excerpt is searched if no candidate has any text.
EXCERPT_REGION = 1_000_000


def draw_excerpt(tokens: Tokens, tokenizer: Tokenizer, rng: random.Random) -> str:
    """Return a random excerpt of a text.

    Several candidates are drawn, and the one with the most distinct characters is returned. This avoids lines
    of dashes, tables and blank lines, which are poor prompts.

    Args:
        tokens: The text, shape [tokens]; at least ``EXCERPT_LENGTH`` tokens.
        tokenizer: The tokenizer of the text.
        rng: Generator of the position.
    """
    candidates = [_draw_candidate(tokens, tokenizer, rng) for _ in range(EXCERPT_CANDIDATES)]
    best = max(candidates, key=lambda candidate: len(set(candidate)))
    # A candidate is empty if all its symbols are unknown. If all candidates are empty, use the longest known
    # text instead.
    return best or tokenizer.decode(
        _longest_known_run(tokens[:EXCERPT_REGION], tokenizer.unknown)[:EXCERPT_LENGTH]
    )


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
    text = tokenizer.decode(_longest_known_run(region, tokenizer.unknown))
    words = [i + 1 for i, symbol in enumerate(text[:EXCERPT_LENGTH]) if symbol.isspace()]
    begin = words[0] if words and words[0] + EXCERPT_LENGTH <= len(text) else 0
    return text[begin : begin + EXCERPT_LENGTH]
