"""Characters to token ids and back, and the form a text is brought into first."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .errors import PromptError

UnicodeForm: TypeAlias = Literal["NFC", "NFD", "NFKC", "NFKD"]
UNICODE_FORMS: tuple[UnicodeForm, ...] = ("NFC", "NFD", "NFKC", "NFKD")

UnknownPolicy: TypeAlias = Literal["error", "skip"]

UNKNOWN_LISTED = 10

REPLACEMENT = "\ufffd"

# A run of combining marks that is this long is put into order first.
LONG_RUN = 31


@dataclass(frozen=True)
class Normalization:
    r"""The form that a model's corpus was brought into, and every prompt after it.

    Line ends always become ``\n`` and a byte-order mark at the start is dropped.

    Attributes:
        lowercase: Whether upper-case letters become lower-case ones.
        unicode: A Unicode normalisation form, or None to leave code points as they are.
    """

    lowercase: bool = False
    unicode: UnicodeForm | None = "NFC"

    def apply(self, text: str) -> str:
        """The text in that form; a text that is in it already stays as it is.

        Raises:
            TypeError: If it is not a string.
        """
        if not isinstance(text, str):
            raise TypeError(f"the text must be a str, not {type(text).__name__}")
        text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
        while True:
            # Each can undo the other: a letter in lower case may part from its accent, and the compatible
            # form of a sign may be a capital.
            before = text
            if self.lowercase:
                text = text.lower()
            if self.unicode:
                text = unicodedata.normalize(self.unicode, order_marks(text, self.unicode))
            if text == before:
                return text


def order_marks(text: str, form: UnicodeForm) -> str:
    """Put long runs of combining marks into the order that ``unicodedata.normalize`` would give them.

    A text may hold any number of marks after a letter. ``unicodedata.normalize`` sorts them by insertion,
    which takes time with the square of their number: 80,000 took 16 seconds, in which no interrupt was seen.
    Marks that are in order already take it no time. The normal form stays the same, because it does not
    depend on the order of marks of different combining classes (Unicode Standard, section 3.11, canonical
    ordering).

    Args:
        text: Any text.
        form: The normal form that the text is about to be brought into.

    Returns:
        The same text, but runs of more than 30 marks, the limit of Unicode's Stream-Safe Text Format (UAX
        #15), are decomposed and in canonical order.
    """
    if text.isascii():
        return text
    decomposed: Literal["NFD", "NFKD"] = "NFKD" if "K" in form else "NFD"

    def in_order(run: re.Match[str]) -> str:
        marks = "".join([unicodedata.normalize(decomposed, mark) for mark in run[0]])
        return "".join(sorted(marks, key=unicodedata.combining))

    # Some marks, such as U+0F73, are of class 0 themselves and only their decomposition is not.
    marks = [mark for mark in set(text) if unicodedata.combining(unicodedata.normalize(decomposed, mark)[0])]
    return re.sub(f"[{''.join(marks)}]{{{LONG_RUN},}}", in_order, text) if marks else text


class Vocabulary:
    """The characters that a model knows; a character's place among them is its token id.

    Args:
        symbols: The characters; the entry of the unknown symbol is ``""``.
        unknown: The token that stands for every character that is not among the symbols, or None if there is
            no such token. It is read and scored like any other, and never drawn.

    Attributes:
        symbols: The characters, by token id.
        unknown: The token of the unknown symbol, or None.

    Raises:
        ValueError: If ``unknown`` is not a token.
    """

    def __init__(self, symbols: Iterable[str], unknown: int | None = None) -> None:
        self.symbols = tuple(symbols)
        if unknown is not None and not 0 <= unknown < len(self.symbols):
            raise ValueError(f"unknown must be a token, one of {len(self.symbols)}, not {unknown}")
        self.unknown = unknown
        self._ids = {symbol: token for token, symbol in enumerate(self.symbols) if token != unknown}

    def __len__(self) -> int:
        return len(self.symbols)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Vocabulary):
            return NotImplemented
        return (self.symbols, self.unknown) == (other.symbols, other.unknown)

    def __hash__(self) -> int:
        return hash((self.symbols, self.unknown))

    def knows(self, text: str) -> bool:
        """Whether all characters of a text are in the vocabulary."""
        return all(symbol in self._ids for symbol in text)

    def encode(self, text: str, unknown: UnknownPolicy = "error") -> NDArray[np.int64]:
        """Token ids of a text.

        Args:
            text: Any text, already normalised.
            unknown: What to do about characters that the model does not know: ``"error"`` or
                ``"skip"``. A vocabulary with an unknown symbol reads them as it in place of an error.

        Returns:
            Shape [characters], int64.

        Raises:
            PromptError: If there are unknown characters and they are not to be skipped; it lists them.
            ValueError: If ``unknown`` is neither of the two.
        """
        if unknown not in ("error", "skip"):
            raise ValueError(f"unknown must be 'error' or 'skip', not {unknown!r}")
        stranger = self.unknown if unknown == "error" else None
        found = [self._ids.get(symbol, stranger) for symbol in text]
        if unknown == "error" and None in found:
            raise PromptError(self._refusal(sorted(self.unknown_in(text))))
        return np.array([token for token in found if token is not None], dtype=np.int64)

    def unknown_in(self, text: str) -> Counter[str]:
        """How often each character that the model does not know is in a text, already normalised."""
        return Counter(symbol for symbol in text if symbol not in self._ids)

    def _refusal(self, unknown: list[str]) -> str:
        """What the model does not know, and what to do about it."""
        capitals = [symbol for symbol in unknown if self._knows_in_lower_case(symbol)]
        lowercase = "prompt.lower(), on the command line --lowercase"
        if capitals == unknown:
            return (
                f"the model does not know {describe(unknown)}, but it knows the lower case: use {lowercase}"
            )
        known, rest = "", "them"
        if capitals:
            known, rest = f"; it knows the lower case of {describe(capitals)}: use {lowercase}", "the others"
        return (
            f"the model does not know {describe(unknown)}{known}; leave {rest} out, or have them skipped "
            '(unknown="skip", on the command line --unknown skip)'
        )

    def _knows_in_lower_case(self, symbol: str) -> bool:
        return symbol.lower() != symbol and not self.unknown_in(symbol.lower())

    def decode(self, tokens: Iterable[int]) -> str:
        """The text of token ids, each in [0, len(self)); the unknown symbol has none."""
        return "".join([self.symbols[token] for token in tokens])

    def decode_each(self, tokens: Iterable[int]) -> str:
        """A text of one character for each token: U+FFFD, "replacement", for the unknown symbol."""
        return "".join([self.symbols[token] or REPLACEMENT for token in tokens])


def describe(symbols: list[str]) -> str:
    """Name characters so that they can be told apart: 'é' (U+00E9), ..."""
    named = [f"{symbol!r} (U+{ord(symbol):04X})" for symbol in symbols[:UNKNOWN_LISTED]]
    more = len(symbols) - len(named)
    return ", ".join(named) + (f" and {more} more" if more else "")


def as_unicode_form(value: object) -> UnicodeForm | None:
    """Check a value read from a file.

    Raises:
        ValueError: If it is neither None nor the name of a Unicode normalisation form.
    """
    if value is not None and value not in UNICODE_FORMS:
        raise ValueError(f"{value!r} is no Unicode normalisation form")
    return value
