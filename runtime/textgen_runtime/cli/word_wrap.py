"""How many columns of a terminal texts take, and lines that are broken between words."""

import re
import sys
from collections.abc import Callable
from unicodedata import category, east_asian_width

TAB_STOP = 8

# A style of the terminal, which takes no column, or one blank, or a run of other characters.
STYLE = re.compile(r"\x1b\[\d+m")
PART = re.compile(rf"{STYLE.pattern}|[ \t\n]|[^ \t\n\x1b]+")
CELL = re.compile(rf"{STYLE.pattern}|.")

# Chinese and Japanese have no blanks: a row may end after each wide character, but not before punctuation,
# before marks that belong to the character before them, or after an opening bracket. Korean has blanks.
NEVER_FIRST = ("Pe", "Pf", "Po", "Lm", "Sk", "Cf", "Mn", "Mc", "Me")
NEVER_LAST = ("Ps", "Pi", "Cf")
HANGUL = (range(0x1100, 0x1200), range(0xA960, 0xA980), range(0xAC00, 0xD800))


def display_width(text: str) -> int:
    """Return the number of columns of a printable text in a terminal: wide characters take two."""
    return sum(
        0 if category(character).startswith("M") else 1 + (east_asian_width(character) in "WF")
        for character in text
    )


class WordWrap:
    """Breaks a text at blanks. The last word is held back until it is known whether it fits into its row.

    A word that is longer than a row is broken. The last column of a row stays empty, because terminals differ
    in where the cursor is after it.

    Args:
        columns: Returns the present number of columns of the terminal, or 0 if it is unknown. Then nothing is
            broken or held back.

    Attributes:
        column: Where the text that was returned ends, and the word that is held back begins.
    """

    def __init__(self, columns: Callable[[], int]) -> None:
        self.column = 0
        self._columns = columns
        self._limit = sys.maxsize
        # The word that is held back, with styles, and its number of columns.
        self._word, self._width, self._last = "", 0, ""

    def add(self, text: str) -> str:
        r"""Add a text, and return what can be shown.

        Args:
            text: The text. Its only control characters are line ends, tabs, and styles such as ``\x1b[1m``.
        """
        columns = self._columns()
        self._limit = columns - 1 if columns > 1 else sys.maxsize
        if self.column > self._limit:
            # The terminal is narrower than before, and has broken the row itself.
            self.column %= columns
        shown = []
        for part in PART.findall(text):
            if part == "\n":
                shown.append(self.flush() + part)
                self.column = 0
            elif part in " \t":
                shown.append(self.flush())
                # The line end after a full row takes the place of its blanks.
                shown.append(part * (self.column < self._limit))
                step = 1 if part == " " else TAB_STOP - self.column % TAB_STOP
                self.column = min(self.column + step, self._limit)
            elif part.startswith("\x1b"):
                self._word += part
            elif part.isascii() and self._last.isascii():
                shown.append(self._extend(part, len(part)))
            else:
                shown += [self._add_symbol(symbol) for symbol in part]
        if self._limit == sys.maxsize:
            shown.append(self.flush())
        return "".join(shown)

    def flush(self) -> str:
        """Return the word that is held back, after a line end if it does not fit into the row."""
        breaks = self.column > 0 and self.column + self._width > self._limit
        word = "\n" * breaks + self._word
        # One character can be wider than a row.
        self.column = min(self._width if breaks else self.column + self._width, self._limit)
        self._word, self._width, self._last = "", 0, ""
        return word

    def _add_symbol(self, symbol: str) -> str:
        """Add one character that is not a blank."""
        shown = self.flush() if self._last and _may_break(self._last, symbol) else ""
        return shown + self._extend(symbol, display_width(symbol))

    def _extend(self, text: str, width: int) -> str:
        """Add to the word. Return all complete rows of a word that is longer than a row."""
        self._word += text
        self._width += width
        self._last = text[-1]
        if self._width <= self._limit:
            return ""
        shown = ["\n" * (self.column > 0)]
        cells, self._word, self._width, self.column = CELL.findall(self._word), "", 0, 0
        for cell in cells:
            columns = 0 if STYLE.match(cell) else display_width(cell)
            if self._width and self._width + columns > self._limit:
                shown.append(self._word + "\n")
                self._word, self._width = "", 0
            self._word += cell
            self._width += columns
        return "".join(shown)


def _may_break(before: str, after: str) -> bool:
    """Whether a row may end between two characters that are not blanks."""
    if category(after) in NEVER_FIRST or category(before) in NEVER_LAST:
        return False
    return any(
        display_width(one) > 1 and not any(ord(one) in letters for letters in HANGUL)
        for one in (before, after)
    )
