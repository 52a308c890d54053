"""Convert untrusted texts to a form that is visible and has no control sequences for a terminal."""

import unicodedata
from collections.abc import Iterator, Sequence

LINE_WIDTH = 100
MAX_CHARACTERS = 300

# Unicode categories of characters that are invisible by themselves: separators, combining marks and formats.
INVISIBLE = ("Z", "M", "Cf")


def visible_name(symbol: str) -> str:
    r"""Return a visible symbol as it is, and otherwise its name or escape: ``<space>``, ``\n``.

    Args:
        symbol: A symbol, which is not empty.
    """
    if len(symbol) > 1:
        # Quotes show where a token of several characters begins and ends.
        return repr(symbol)
    if symbol.isprintable() and not unicodedata.category(symbol).startswith(INVISIBLE):
        return symbol
    name = unicodedata.name(symbol, "")
    return f"<{name.lower()}>" if name else escape(symbol)


def escape(symbol: str) -> str:
    r"""Return the escape sequence of a character: ``\n``, ``\x1b``."""
    return ascii(symbol)[1:-1]


def escape_unprintable(text: str) -> str:
    """Return a text with unprintable characters as escape sequences."""
    return "".join(symbol if symbol.isprintable() else escape(symbol) for symbol in text)


def single_line(text: str) -> str:
    """Return a text as one line, truncated if it is very long."""
    more = len(text) - MAX_CHARACTERS
    return escape_unprintable(text[:MAX_CHARACTERS]) + (
        f"... and {more:,} more characters" if more > 0 else ""
    )


def wrap_words(words: Sequence[str], indent: str) -> Iterator[str]:
    """Yield the words, separated by spaces, in lines of at most ``LINE_WIDTH`` columns."""
    line = indent
    used = len(indent)
    for word in words:
        width = display_width(word)
        if used + width > LINE_WIDTH and line != indent:
            yield line.rstrip()
            line, used = indent, len(indent)
        line += f"{word} "
        used += width + 1
    yield line.rstrip()


def display_width(text: str) -> int:
    """Return the number of terminal columns of a text."""
    return sum(2 if unicodedata.east_asian_width(symbol) in "WF" else 1 for symbol in text)
