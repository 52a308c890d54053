"""Where text stands on a terminal: the rows of a typed line, and the column where a text ends.

Only simple cases are answered. The answer None means that the cursor must not be moved back over the text.
"""

import unicodedata

# Combining marks and invisible characters take no column, wide ones two, and some terminals disagree.
NO_COLUMN = ("M", "C")
WIDE = ("W", "F")


def is_simple(text: str) -> bool:
    """Whether each character of a text takes one column on every terminal."""
    if text.isascii():
        return text.isprintable()
    return all(
        not unicodedata.category(symbol).startswith(NO_COLUMN)
        and unicodedata.east_asian_width(symbol) not in WIDE
        for symbol in text
    )


def rows_of(line: str, columns: int, rows: int) -> int | None:
    """Return how many rows a typed line takes, or None if that is uncertain or if it does not fit.

    Args:
        line: The line with the prompt mark, without its line end.
        columns: The columns of the terminal.
        rows: The rows of the terminal.
    """
    if columns < 1 or "\n" in line or "\t" in line:
        return None
    # A character takes at most two columns, also a control character such as ^A.
    if 2 * len(line) < columns:
        return 1
    # Terminals differ after a line that exactly fills its last row.
    if not is_simple(line) or len(line) % columns == 0:
        return None
    needed = len(line) // columns + 1
    return needed if needed < rows else None


def ends_at_column(start: int | None, text: str, columns: int) -> int | None:
    """Return the column after a text, or None if it is uncertain.

    Args:
        start: The column where the text begins, or None if it is uncertain.
        text: The text, which may have several lines.
        columns: The columns of the terminal.
    """
    *before, last = text.rsplit("\n", 1)
    start = 0 if before else start
    if start is None or columns < 1 or not is_simple(last):
        return None
    end = start + len(last)
    # After a character in the last column, the cursor is there or in the next row, depending on the terminal.
    return end % columns or (None if end else 0)
