"""Datasets: the training text and the held-out text of a corpus, as tokens."""

import random
from dataclasses import dataclass, replace
from functools import cached_property

from textgen_runtime.text.normalization import Normalization
from textgen_runtime.text.records import RecordKind
from textgen_runtime.text.tokenizer import Tokenizer

from .characters import count_characters, count_characters_after
from .excerpts import draw_excerpt
from .records import record_parts
from .token_array import Tokens, count_tokens


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
        """The numbers of symbols and of training tokens, on which the presets depend."""
        return len(self.tokenizer), len(self.training)

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
        """Return a random excerpt of the training text, to use as a prompt; "" if it is not a text."""
        return draw_excerpt(self.training, self.tokenizer, rng)

    def _count(self, token: int | None) -> tuple[int, int]:
        """Return how often a token occurs in the training text and in the held-out text."""
        if token is None:
            return 0, 0
        size = len(self.tokenizer)
        return int(count_tokens(self.training, size)[token]), int(count_tokens(self.held_out, size)[token])
