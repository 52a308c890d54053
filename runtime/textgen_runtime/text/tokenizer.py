"""The interface between text and tokens.

Generation, scoring and the commands of the runtime work with any tokenizer. The level of a tokenizer, such as
"character", is its kind of token. A model file stores it as ``textgen.level``.

To add a tokenizer:

1. Write a module like ``word_tokenizer.py`` in this folder, with a class that has all members of
   ``Tokenizer``. ``Vocabulary`` in ``vocabulary.py`` has most of them.
2. Add its level to ``levels.py``, and the class to ``tokenizers.py``.
3. Add the level to ``symbols.h``, ``symbols.c`` and ``vocabulary.c`` in ``runtime/core``, which checks every
   model file. Model files of this level can then be loaded, run and scored.
4. To train such models, build the vocabulary from a corpus in ``textgen_train.data.vocabularies``, add an
   encoder of large texts to ``textgen_train.data.encoders``, and count the characters of tokens in
   ``textgen_train.data.tokens``.
"""

from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Literal, Protocol, TypeAlias

from .special_tokens import SpecialTokens

UnknownPolicy: TypeAlias = Literal["error", "skip"]


class Tokenizer(Protocol):
    """Converts text to tokens and back.

    A tokenizer is immutable and hashable. Two tokenizers are equal if they encode every text to the same
    tokens. Tokens are integers in [0, len(tokenizer)).
    """

    @property
    def level(self) -> str:
        """The kind of token, such as "character". A model file stores it as ``textgen.level``."""
        ...

    @property
    def symbols(self) -> tuple[str, ...]:
        """The texts of all tokens, in the order of the tokens. Special tokens have the text ``""``."""
        ...

    @property
    def special(self) -> SpecialTokens:
        """The special tokens, which have no text."""
        ...

    @property
    def unknown(self) -> int | None:
        """The token of the unknown symbol, or None if the vocabulary has no unknown symbol."""
        ...

    def __len__(self) -> int:
        """Return the number of tokens in the vocabulary."""
        ...

    def __hash__(self) -> int:
        """Return a hash that equal tokenizers share."""
        ...

    def can_encode(self, text: str) -> bool:
        """Return whether a normalized text can be encoded without the unknown symbol."""
        ...

    def encode(self, text: str, unknown: UnknownPolicy = "error") -> "array[int]":
        """Convert a text to tokens.

        Args:
            text: A normalized text.
            unknown: What to do with symbols outside the vocabulary. ``"skip"`` drops them. ``"error"``
                encodes them as the unknown symbol, or raises ``PromptError`` if the vocabulary has none.

        Returns:
            The tokens, with type code ``q`` (int64). ``np.asarray`` converts them without a copy.

        Raises:
            PromptError: If the text has symbols outside the vocabulary, ``unknown`` is ``"error"``, and there
                is no unknown symbol. The message names them.
            ValueError: If ``unknown`` is neither ``"error"`` nor ``"skip"``.
        """
        ...

    def count_unknown(self, text: str) -> Counter[str]:
        """Count how often each symbol outside the vocabulary occurs in a normalized text."""
        ...

    def decode(self, tokens: Iterable[int]) -> str:
        """Convert tokens to text. Special tokens add no text."""
        ...

    def decode_each(self, tokens: Iterable[int]) -> Sequence[str]:
        """Return the text of each token; U+FFFD, the replacement character, for a special token."""
        ...

    def incomplete(self, tokens: Iterable[int]) -> int:
        """Return how many of the last tokens have no text before further tokens are known."""
        ...
