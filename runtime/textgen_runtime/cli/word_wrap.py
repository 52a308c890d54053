"""How many columns and rows of a terminal texts take."""

import re
import sys
from collections.abc import Callable
from unicodedata import category, east_asian_width

# Combining marks and invisible characters take no column, and some terminals disagree.
NO_COLUMN = ("M", "C")
# So do the vowels and final consonants of decomposed Korean, which are letters.
JOINING_JAMO = (range(0x1160, 0x1200), range(0xD7B0, 0xD800))


def display_width(text: str) -> int:
    """Return the number of columns of a printable text in a terminal: wide characters take two."""
    return sum(
        0 if category(character).startswith("M") else 1 + (east_asian_width(character) in "WF")
        for character in text
    )


# The functions below answer only cases without doubt. The answer None means that the cursor must not be moved
# back over the text.


def certain_width(symbol: str) -> int | None:
    """Return how many columns a character takes on every terminal, or None if terminals disagree."""
    kind = category(symbol)
    if kind.startswith(NO_COLUMN) or any(ord(symbol) in jamo for jamo in JOINING_JAMO):
        return None
    width = display_width(symbol)
    # Letters and punctuation of Chinese, Japanese and Korean take two. Emoji are symbols: a new one has
    # another width on an old terminal.
    return None if width > 1 and kind.startswith("S") else width


def advance(column: int, text: str, columns: int) -> tuple[int, int] | None:
    """Return how many rows and to which column a text moves the cursor, or None if that is uncertain.

    Args:
        column: The column where the text begins.
        text: The text, without line ends.
        columns: The columns of the terminal.
    """
    if columns < 1:
        return None
    if text.isascii():
        if not text.isprintable():
            return None
        row, column = divmod(column + len(text), columns)
    else:
        row = 0
        for symbol in text:
            width = certain_width(symbol)
            if width is None or width > columns:
                return None
            # A wide character is not broken: the last column of the row stays empty.
            if column + width > columns:
                row, column = row + 1, 0
            column += width
        if column == columns:
            row, column = row + 1, 0
    # After a character in the last column, the cursor is there or in the next row, depending on the terminal.
    return None if row and not column else (row, column)


def rows_of(line: str, columns: int, rows: int) -> int | None:
    """Return how many rows a typed line takes, or None if that is uncertain or if it does not fit.

    Args:
        line: The line with the prompt mark, without its line end.
        columns: The columns of the terminal.
        rows: The rows of the terminal.
    """
    if "\n" in line or "\t" in line:
        return None
    # A character takes at most two columns, also a control character such as ^A.
    if 2 * len(line) < columns:
        return 1
    moved = advance(0, line, columns)
    return moved[0] + 1 if moved and moved[0] + 1 < rows else None


TAB_STOP = 8

# A style of the terminal, which takes no column, or one blank, or a run of other characters.
STYLE = re.compile(r"\x1b\[\d+m")
PART = re.compile(rf"{STYLE.pattern}|[ \t\n]|[^ \t\n\x1b]+")
CELL = re.compile(rf"{STYLE.pattern}|.")

# Chinese and Japanese have no blanks: a row may end after each wide character, but not before punctuation,
# before marks that belong to the character before them, or after an opening bracket. Korean has blanks.
NEVER_FIRST = ("Pe", "Pf", "Po", "Lm", "Sk", "Cf", "Mn", "Mc", "Me")
NEVER_LAST = ("Ps", "Pi", "Cf")
HANGUL = (range(0x1100, 0x1200), range(0xA960, 0xA980), range(0xAC00, 0xD7A4), *JOINING_JAMO)


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
        # Whether the cursor is there on every terminal.
        self._is_certain = True
        self._columns = columns
        self._limit = sys.maxsize
        # The word that is held back, with styles, and its number of columns.
        self._word = ""
        self._width = 0
        self._last = ""

    def add(self, text: str) -> str:
        r"""Add a text, and return what can be shown.

        Args:
            text: The text. Its only control characters are line ends, tabs, and styles such as ``\x1b[1m``.
        """
        self._measure()
        shown = []
        for part in PART.findall(text):
            if part == "\n":
                shown.append(self.flush() + part)
                self.begin_row()
            elif part in " \t":
                shown.append(self.flush())
                # The line end after a full row takes the place of its blanks.
                shown.append(part * (self.column < self._limit))
                after = self.column + (1 if part == " " else TAB_STOP - self.column % TAB_STOP)
                self.column = min(after, self._limit)
                self._is_certain &= part == " "
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
        """Return what ``show_word`` returns, and hold nothing back."""
        word = self.show_word()
        self._is_certain = self.is_certain
        # One character can be wider than a row.
        self.column = min(self.column + self._width, self._limit)
        self._word, self._width, self._last = "", 0, ""
        return word

    def show_word(self) -> str:
        """Return the word that is held back, after a line end if it does not fit into the row.

        The line end is then done, but the word stays held back: if the text goes on later, the word is
        returned again, to be shown from ``column`` on.
        """
        breaks = self.column > 0 and self.column + self._width > self._limit
        if breaks:
            self.begin_row()
        return "\n" * breaks + self._word

    def begin_row(self, *, is_certain: bool = True) -> None:
        """Go on at the start of a row.

        Args:
            is_certain: Whether the cursor is there. After other output, it can be anywhere else.
        """
        self.column, self._is_certain = 0, is_certain

    @property
    def is_certain(self) -> bool:
        """Whether the text and the word that is held back end in the same place on every terminal."""
        word = STYLE.sub("", self._word)
        moved = advance(self.column, word, self._columns()) if word else (0, self.column)
        return self._is_certain and moved is not None and moved[0] == 0

    @property
    def is_row_empty(self) -> bool:
        """Whether it is certain that nothing stands in the row."""
        return self._is_certain and self.column == 0 and not STYLE.sub("", self._word)

    def _measure(self) -> None:
        columns = self._columns()
        self._limit = columns - 1 if columns > 1 else sys.maxsize
        if self.column > self._limit:
            # The terminal is narrower than before, and has broken the row itself.
            self.column %= columns
            self._is_certain = False

    def _add_symbol(self, symbol: str) -> str:
        """Add one character that is not a blank."""
        shown = self.flush() if self._last and _may_break(self._last, symbol) else ""
        return shown + self._extend(symbol, display_width(symbol))

    def _extend(self, text: str, width: int) -> str:
        self._word += text
        self._width += width
        self._last = text[-1]
        return self._break() if self._width > self._limit else ""

    def _break(self) -> str:
        """Return all complete rows of a word that is longer than a row."""
        shown = ["\n" * (self.column > 0)]
        cells, self._word, self._width = CELL.findall(self._word), "", 0
        self.begin_row()
        for cell in cells:
            width = 0 if STYLE.match(cell) else display_width(cell)
            if self._width and self._width + width > self._limit:
                shown.append(self._word + "\n")
                self._word, self._width = "", 0
            self._word += cell
            self._width += width
        return "".join(shown)


def _may_break(before: str, after: str) -> bool:
    """Whether a row may end between two characters that are not blanks."""
    if category(after) in NEVER_FIRST or category(before) in NEVER_LAST:
        return False
    return _is_ideographic(before) or _is_ideographic(after)


def _is_ideographic(symbol: str) -> bool:
    return display_width(symbol) > 1 and not any(ord(symbol) in letters for letters in HANGUL)
