"""Datasets: the training text and the held-out text of a corpus, as tokens, and excerpts of them."""

import random
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from textgen_runtime.text import Normalization, RecordKind
from textgen_runtime.tokenizer import BYTE, REPLACEMENT, WORD, Tokenizer

from .tokens import (
    Tokens,
    count_characters,
    count_characters_after,
    count_tokens,
    record_parts,
    text_of,
)

# The share of a training text that consists of its common symbols.
COMMON_SHARE = 0.99

EXCERPT_LENGTH = 60
EXCERPT_CANDIDATES = 5
# Number of characters in which an excerpt is searched if no candidate has any text.
EXCERPT_REGION = 1_000_000

# The characters that stand for bytes that are not UTF-8.
_NOT_UTF8 = "".join(map(chr, range(0xDC80, 0xDD00)))


def _draw_candidate(tokens: Tokens, tokenizer: Tokenizer, rng: random.Random) -> str:
    """Return an excerpt from a random position. It begins at a word boundary if possible."""
    start = rng.randint(0, len(tokens) - EXCERPT_LENGTH)
    text = _known_text(tokens[start : start + 2 * EXCERPT_LENGTH], tokenizer)
    words = [i + 1 for i, symbol in enumerate(text[:EXCERPT_LENGTH]) if symbol.isspace()]
    begin = words[0] if words and words[0] + EXCERPT_LENGTH <= len(text) else 0
    excerpt = text[begin : begin + EXCERPT_LENGTH]
    if tokenizer.level == WORD:
        # The last word may be incomplete. Its parts are other tokens.
        excerpt, *_ = *excerpt.rsplit(maxsplit=1), ""
    return excerpt


def _known_text(tokens: Tokens, tokenizer: Tokenizer) -> str:
    """Return the longest text without the unknown symbol; "" if bytes are not a text."""
    text = text_of(tokens, tokenizer)
    if tokenizer.level != BYTE:
        return max(text.split(REPLACEMENT), key=len)
    # Without the parts of characters at its ends.
    text = text.strip(_NOT_UTF8)
    return "" if any(character in text for character in ("\0", *_NOT_UTF8)) else text


@dataclass(frozen=True)
class Dataset:
    """A training text and a held-out text as tokens, or records of both kinds.

    Attributes:
        tokenizer: Vocabulary of both texts, so that the held-out text can be scored. The characters are in
            code point order, and words follow. If rare symbols were replaced, token 0 is the unknown symbol.
            With records, the last two tokens are ``begin`` and ``end``. The vocabulary of a model that is
            trained further may have another order.
        normalization: The normalization that was applied to both texts. Bytes are not normalized.
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

    tokenizer: Tokenizer
    normalization: Normalization
    training: Tokens
    held_out: Tokens
    before_held_out: int
    rare_count: int = 0
    held_out_share: float | None = None
    records: RecordKind | None = None

    @cached_property
    def training_characters(self) -> int:
        """Number of characters of the training text. The end of a record counts as one."""
        return count_characters(self.training, self.tokenizer)

    @cached_property
    def held_out_characters(self) -> int:
        """Number of characters of the held-out text. The end of a record counts as one."""
        return count_characters_after(self.before_held_out, self.held_out, self.tokenizer)

    @property
    def sizes(self) -> tuple[int, int]:
        """The numbers of common symbols and of training tokens, on which the presets depend."""
        return self.common_symbols, len(self.training)

    @cached_property
    def common_symbols(self) -> int:
        """Number of the most frequent tokens that make up 99% of the training text."""
        counts = np.sort(count_tokens(self.training, len(self.tokenizer)))[::-1]
        return int(np.searchsorted(counts.cumsum(), COMMON_SHARE * len(self.training))) + 1

    @property
    def characters_per_token(self) -> float:
        """Mean number of characters of a training token."""
        return self.training_characters / len(self.training)

    @cached_property
    def unknown_shares(self) -> tuple[float, float]:
        """The shares of the characters that the unknown symbol replaces, of both texts, in [0, 1]."""
        training, held_out = self._count(self.tokenizer.unknown)
        return training / self.training_characters, held_out / self.held_out_characters

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
        """Return a random excerpt of the training text, to use as a prompt; "" if it is not a text.

        Several candidates are drawn, and the one with the most distinct characters is returned. This avoids
        lines of dashes, tables and blank lines, which are poor prompts. At the level of words, an excerpt
        consists of whole words.
        """
        tokens, tokenizer = self.training, self.tokenizer
        candidates = [_draw_candidate(tokens, tokenizer, rng) for _ in range(EXCERPT_CANDIDATES)]
        best = max(candidates, key=lambda candidate: len(set(candidate)))
        if best or tokenizer.level == BYTE:
            return best
        # A candidate is empty if all its symbols are unknown. If all candidates are empty, use the longest
        # known text instead.
        return _known_text(tokens[:EXCERPT_REGION], tokenizer)[:EXCERPT_LENGTH]

    def _count(self, token: int | None) -> tuple[int, int]:
        """Return how often a token occurs in the training text and in the held-out text."""
        if token is None:
            return 0, 0
        size = len(self.tokenizer)
        return int(count_tokens(self.training, size)[token]), int(count_tokens(self.held_out, size)[token])
