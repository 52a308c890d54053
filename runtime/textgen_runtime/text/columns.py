"""How many columns and rows of a terminal texts take."""

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
