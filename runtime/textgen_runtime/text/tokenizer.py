"""The interface between text and tokens, the levels of tokens, and the special tokens.

Generation, scoring and the commands of the runtime work with any tokenizer. The level of a tokenizer, such as
"character", is its kind of token. A model file stores it as ``textgen.level``.

To add a tokenizer:

1. Write a module like ``word_tokenizer.py`` in this folder, with a class that has all members of
   ``Tokenizer``. ``Vocabulary`` in ``vocabulary.py`` has most of them.
2. Add its level below, and the class to ``make_tokenizer`` in ``model_file/metadata.py``.
3. Add the level to ``vocabulary.h`` and ``vocabulary.c`` in ``runtime/core``,
   which checks every model file. Model files of this level can then be loaded, run and scored. Name it in
   the comment on ``level`` in ``runtime/core/textgen.h`` and in its type in ``runtime/web/index.d.ts``.
4. To train such models, build the vocabulary from a corpus in ``data/vocabularies.py``, which
   ``data/dataset_from_corpus.py`` calls. Add an encoder of large texts to ``make_encoder`` in
   ``data/parts.py``, and count the characters of tokens in ``data/tokens.py``.
"""

from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple, Protocol, TypeAlias

CHARACTER = "character"
BYTE = "byte"
WORD = "word"
LEVELS = (CHARACTER, BYTE, WORD)

UnknownPolicy: TypeAlias = Literal["error", "skip"]

# Stands for a character that no text of a model can have.
OUTSIDE = -1

# The text of a special token in lists.
REPLACEMENT = "\ufffd"


class SpecialTokens(NamedTuple):
    """The special tokens of a vocabulary. The vocabulary entry of each is ``""``, because they have no text.

    Attributes:
        unknown: Stands for symbols outside the vocabulary, or None. It is scored like any other token, but
            never drawn.
        begin: The first token of each record, or None. It is never drawn.
        end: The last token of each record, or None. A text ends where it is drawn. A vocabulary has either
            both ``begin`` and ``end``, or neither.
    """

    unknown: int | None = None
    begin: int | None = None
    end: int | None = None

    @property
    def by_name(self) -> dict[str, int]:
        """The tokens that exist, by name, such as ``{"unknown": 0}``."""
        return {name: token for name, token in self._asdict().items() if token is not None}

    @property
    def never_drawn(self) -> tuple[int, ...]:
        """The tokens that no text contains: ``unknown`` and ``begin`` if they exist."""
        return tuple(token for token in (self.unknown, self.begin) if token is not None)

    def check(self, symbols: Sequence[object]) -> None:
        """Check that the tokens fit a vocabulary.

        Raises:
            ValueError: If one of them is not a token of the vocabulary, if its entry is not ``""``, if two of
                them are equal, or if there is only one of ``begin`` and ``end``.
        """
        tokens = self.by_name
        for name, token in tokens.items():
            if not 0 <= token < len(symbols):
                raise ValueError(f"{name} must be a token in [0, {len(symbols)}), not {token}")
            if symbols[token] != "":
                raise ValueError(f'the entry of {name} must be "", not {symbols[token]!r}')
        if len(set(tokens.values())) < len(tokens):
            raise ValueError(f"the special tokens must differ: {', '.join(tokens)}")
        if (self.begin is None) != (self.end is None):
            raise ValueError("begin and end must be given together")


NO_SPECIAL_TOKENS = SpecialTokens()


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
    def decoding(self) -> str:
        """What ``bytes.decode`` does with bytes that are not UTF-8: "replace" or "surrogateescape"."""
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

    def encode_known(self, text: str) -> "array[int]":
        """Convert a text to tokens, with ``OUTSIDE`` for each character that no generated text can have.

        The C core has the same function, ``textgen_encode_known``.
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
