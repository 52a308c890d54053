"""The special tokens of a vocabulary: tokens without text."""

from collections.abc import Sequence
from typing import NamedTuple


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
