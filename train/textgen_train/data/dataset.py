"""A corpus made ready: normalised, encoded, and split into what is learned from and what is held out."""

import random
from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from textgen_runtime.corpora.corpus import Corpus
from textgen_runtime.text.normalization import Normalization
from textgen_runtime.text.split import held_out_start
from textgen_runtime.text.tokenizer import CharacterTokenizer

from textgen_train.errors import CorpusError

# Below these there is nothing to learn, or no loss worth reading.
MIN_TRAINING_CHARACTERS = 128
MIN_HELD_OUT_CHARACTERS = 8

SNIPPET_LENGTH = 60
SNIPPETS_COMPARED = 5


@dataclass(frozen=True)
class Dataset:
    """Two texts as token ids.

    Attributes:
        tokenizer: Of all characters of both texts, in code point order: a model that cannot say a character
            cannot be scored on it. With a minimum count, the frequent ones behind the unknown symbol.
        normalization: What was done to both texts before.
        training: Shape [characters], int64.
        held_out: Shape [characters], int64; never trained on.
        before_held_out: The token from which the first held-out character is predicted: the training text's
            last one, or the first of a held-out text of its own, which is not scored itself.
        rare: How many symbols the unknown symbol stands for; 0 if there is none.
    """

    tokenizer: CharacterTokenizer
    normalization: Normalization
    training: NDArray[np.int64]
    held_out: NDArray[np.int64]
    before_held_out: int
    rare: int = 0

    def unknown_share(self, tokens: NDArray[np.int64]) -> float:
        """Which share of a text is the unknown symbol."""
        return float(np.mean(tokens == self.tokenizer.unknown))

    def snippet(self, rng: random.Random) -> str:
        """A piece of the training text to start samples from.

        Of a few, the one with the most different characters: a text may hold rulers, tables and blank
        stretches, from which there is nothing to continue.
        """
        pieces = [self._piece(rng) for _ in range(SNIPPETS_COMPARED)]
        best = max(pieces, key=lambda piece: len(set(piece)))
        # Where all of them are the unknown symbol alone, the longest stretch of the whole text without it.
        return best or self.tokenizer.decode(self._known(self.training)[:SNIPPET_LENGTH])

    def _known(self, tokens: NDArray[np.int64]) -> NDArray[np.int64]:
        """The longest stretch without the unknown symbol, which has no text."""
        if self.tokenizer.unknown is None:
            return tokens
        unknown = np.flatnonzero(tokens == self.tokenizer.unknown)
        bounds = np.concatenate([[-1], unknown, [len(tokens)]])
        longest = int(np.diff(bounds).argmax())
        return tokens[bounds[longest] + 1 : bounds[longest + 1]]

    def _piece(self, rng: random.Random) -> str:
        """A piece from anywhere, beginning with a word where it can."""
        latest = len(self.training) - SNIPPET_LENGTH
        start = rng.randint(0, latest)
        tokens = self._known(self.training[start : start + 2 * SNIPPET_LENGTH])
        text = self.tokenizer.decode(tokens)
        words = [i + 1 for i, symbol in enumerate(text[:SNIPPET_LENGTH]) if symbol.isspace()]
        begin = words[0] if words and words[0] + SNIPPET_LENGTH <= len(text) else 0
        return text[begin : begin + SNIPPET_LENGTH]


def make_dataset(
    corpus: Corpus,
    normalization: Normalization,
    held_out: float | Corpus,
    min_count: int = 1,
) -> Dataset:
    """Normalise, split and encode a corpus.

    Args:
        corpus: What to learn from.
        normalization: What to do to its text first.
        held_out: The share of the corpus to hold out, cut from its end, in (0, 1); or another corpus.
        min_count: Symbols that the training text has fewer times become one unknown symbol, which is
            predicted and scored and never drawn.

    Raises:
        CorpusError: If either part is too short, if all of it is one and the same character, or if no symbol
            is there ``min_count`` times.
    """
    text = normalization.apply(corpus.text)
    if isinstance(held_out, Corpus):
        training, rest = text, normalization.apply(held_out.text)
    else:
        cut = held_out_start(len(text), held_out)
        training, rest = text[:cut], text[cut:]
    symbols = sorted(set(training) | set(rest))
    if len(symbols) == 1:
        raise CorpusError(
            f"the corpus {corpus.name} is nothing but {symbols[0]!r}: there is nothing to learn"
        )
    if isinstance(held_out, Corpus) and len(rest) < MIN_HELD_OUT_CHARACTERS:
        raise CorpusError(
            f"the held-out text {held_out.name} is too short: {len(rest)} characters, and at least "
            f"{MIN_HELD_OUT_CHARACTERS} are needed"
        )
    if len(training) < MIN_TRAINING_CHARACTERS or len(rest) < MIN_HELD_OUT_CHARACTERS:
        raise CorpusError(
            f"the corpus {corpus.name} is too short: {len(training)} characters to train on and {len(rest)} "
            f"held out, and at least {MIN_TRAINING_CHARACTERS} and {MIN_HELD_OUT_CHARACTERS} are needed"
        )
    tokenizer = _make_tokenizer(corpus, training, symbols, min_count)
    rare = len(symbols) - len(tokenizer) + 1 if tokenizer.unknown is not None else 0
    learned, scored = np.asarray(tokenizer.encode(training)), np.asarray(tokenizer.encode(rest))
    if isinstance(held_out, Corpus):
        return Dataset(tokenizer, normalization, learned, scored[1:], int(scored[0]), rare)
    return Dataset(tokenizer, normalization, learned, scored, int(learned[-1]), rare)


def _make_tokenizer(corpus: Corpus, training: str, symbols: list[str], min_count: int) -> CharacterTokenizer:
    """All symbols, or the frequent ones behind an unknown symbol where some are rare."""
    counts = Counter(training)
    frequent = [symbol for symbol in symbols if counts[symbol] >= min_count]
    if min_count <= 1 or len(frequent) == len(symbols):
        return CharacterTokenizer(symbols)
    if not frequent:
        raise CorpusError(
            f"no symbol of the corpus {corpus.name} is there {min_count} times: lower --min-count"
        )
    return CharacterTokenizer(["", *frequent], unknown=0)
