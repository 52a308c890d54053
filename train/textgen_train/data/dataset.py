"""Datasets: a corpus that is normalized, split into training and held-out text, and encoded as tokens."""

import random
from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from textgen_runtime.corpora.corpus import Corpus
from textgen_runtime.text.character_tokenizer import CharacterTokenizer
from textgen_runtime.text.normalization import Normalization
from textgen_runtime.text.special_tokens import SpecialTokens
from textgen_runtime.text.split import held_out_start

from textgen_train.errors import CorpusError

# Shorter texts are too short to train on, or to give a meaningful loss.
MIN_TRAINING_CHARACTERS = 128
MIN_HELD_OUT_CHARACTERS = 8

EXCERPT_LENGTH = 60
EXCERPT_CANDIDATES = 5


@dataclass(frozen=True)
class Dataset:
    """A training text and a held-out text as tokens.

    Attributes:
        tokenizer: Vocabulary of both texts, so that the held-out text can be scored. The symbols are in code
            point order. If rare symbols were replaced, token 0 is the unknown symbol.
        normalization: The normalization that was applied to both texts.
        training: Tokens of the training text, shape [characters], int64.
        held_out: Tokens of the held-out text, shape [characters], int64; never trained on.
        before_held_out: The input token from which the first token of ``held_out`` is predicted. This is the
            last training token, or the first token of a separate held-out text. In the second case,
            ``held_out`` does not contain it.
        rare_count: Number of symbols that the unknown symbol replaces; 0 without an unknown symbol.
    """

    tokenizer: CharacterTokenizer
    normalization: Normalization
    training: NDArray[np.int64]
    held_out: NDArray[np.int64]
    before_held_out: int
    rare_count: int = 0

    def unknown_share(self, tokens: NDArray[np.int64]) -> float:
        """Return the share of the unknown symbol in a text, in [0, 1]."""
        return float(np.mean(tokens == self.tokenizer.unknown))

    def draw_excerpt(self, rng: random.Random) -> str:
        """Return a random excerpt of the training text, to use as a prompt.

        Several candidates are drawn, and the one with the most distinct characters is returned. This avoids
        lines of dashes, tables and blank lines, which are poor prompts.
        """
        candidates = [self._draw_candidate(rng) for _ in range(EXCERPT_CANDIDATES)]
        best = max(candidates, key=lambda candidate: len(set(candidate)))
        # A candidate is empty if all its symbols are unknown. If all candidates are empty, use the longest
        # known text instead.
        return best or self.tokenizer.decode(self._longest_known_run(self.training)[:EXCERPT_LENGTH])

    def _longest_known_run(self, tokens: NDArray[np.int64]) -> NDArray[np.int64]:
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


def make_dataset(
    corpus: Corpus,
    normalization: Normalization,
    held_out: float | Corpus,
    min_count: int = 1,
) -> Dataset:
    """Normalize, split and encode a corpus.

    Args:
        corpus: The corpus to train on.
        normalization: The normalization to apply to all text.
        held_out: The share of the corpus to hold out, taken from its end, in (0, 1); or a separate corpus.
        min_count: Symbols that occur less often in the training text are replaced by one unknown symbol. The
            unknown symbol is predicted and scored, but never drawn. With 1, no symbol is replaced.

    Returns:
        The dataset. Each of its tokens is one character.

    Raises:
        CorpusError: If the training or held-out text is too short, if all characters are equal, or if no
            symbol occurs ``min_count`` times.
    """
    text = normalization.apply(corpus.text)
    if isinstance(held_out, Corpus):
        training, held_out_text = text, normalization.apply(held_out.text)
    else:
        start = held_out_start(len(text), held_out)
        training, held_out_text = text[:start], text[start:]
    symbols = sorted(set(training) | set(held_out_text))
    if len(symbols) == 1:
        raise CorpusError(
            f"the corpus {corpus.name} contains only the character {symbols[0]!r}: training needs at least "
            "two different characters"
        )
    if isinstance(held_out, Corpus) and len(held_out_text) < MIN_HELD_OUT_CHARACTERS:
        raise CorpusError(
            f"the held-out text {held_out.name} is too short: it has {len(held_out_text)} characters, and "
            f"at least {MIN_HELD_OUT_CHARACTERS} are needed"
        )
    if len(training) < MIN_TRAINING_CHARACTERS or len(held_out_text) < MIN_HELD_OUT_CHARACTERS:
        raise CorpusError(
            f"the corpus {corpus.name} is too short: it has {len(training)} training characters and "
            f"{len(held_out_text)} held-out characters, and at least {MIN_TRAINING_CHARACTERS} and "
            f"{MIN_HELD_OUT_CHARACTERS} are needed"
        )
    tokenizer = _make_tokenizer(corpus, training, symbols, min_count)
    rare_count = len(symbols) - len(tokenizer) + 1 if tokenizer.unknown is not None else 0
    training_tokens = np.asarray(tokenizer.encode(training))
    held_out_tokens = np.asarray(tokenizer.encode(held_out_text))
    if isinstance(held_out, Corpus):
        before, held_out_tokens = int(held_out_tokens[0]), held_out_tokens[1:]
    else:
        before = int(training_tokens[-1])
    return Dataset(tokenizer, normalization, training_tokens, held_out_tokens, before, rare_count)


def _make_tokenizer(corpus: Corpus, training: str, symbols: list[str], min_count: int) -> CharacterTokenizer:
    """Return the tokenizer of a corpus.

    If no symbol is rare, its vocabulary is all symbols. Otherwise it is the unknown symbol, which is token 0,
    and the frequent symbols.
    """
    counts = Counter(training)
    frequent = [symbol for symbol in symbols if counts[symbol] >= min_count]
    if min_count <= 1 or len(frequent) == len(symbols):
        return CharacterTokenizer(symbols)
    if not frequent:
        raise CorpusError(
            f"no symbol occurs at least {min_count} times in the training text of the corpus {corpus.name}: "
            "lower --min-count"
        )
    return CharacterTokenizer(["", *frequent], SpecialTokens(unknown=0))
