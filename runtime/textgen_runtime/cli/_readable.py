"""Characters and texts from a file, shown so that they can be read and no terminal obeys them."""

import unicodedata
from collections.abc import Iterator, Sequence

LINE_WIDTH = 100
MAX_SHOWN = 300

# Unicode categories of characters that show nothing by themselves: spaces, marks that combine with what
# stands before them, formats.
INVISIBLE = ("Z", "M", "Cf")


def named(symbol: str) -> str:
    r"""A symbol as it is, or the name of a character that cannot be seen: ``<space>``, ``\n``."""
    if not symbol:
        # The entry of the unknown symbol.
        return "<unknown symbol>"
    if len(symbol) > 1:
        # A token of several characters: quotes show where it begins and ends.
        return repr(symbol)
    if symbol.isprintable() and not unicodedata.category(symbol).startswith(INVISIBLE):
        return symbol
    name = unicodedata.name(symbol, "")
    return f"<{name.lower()}>" if name else escaped(symbol)


def escaped(symbol: str) -> str:
    r"""A character as an escape: ``\n``, ``\x1b``."""
    return ascii(symbol)[1:-1]


def printable(text: str) -> str:
    """A text with escapes for what does not print."""
    return "".join(symbol if symbol.isprintable() else escaped(symbol) for symbol in text)


def one_line(text: str) -> str:
    """A text in one line, cut short if it is very long."""
    more = len(text) - MAX_SHOWN
    return printable(text[:MAX_SHOWN]) + (f"... and {more:,} more characters" if more > 0 else "")


def fit(words: Sequence[str], indent: str) -> Iterator[str]:
    """Words in lines of at most ``LINE_WIDTH`` columns, with spaces between them."""
    line = indent
    used = len(indent)
    for word in words:
        wide = columns(word)
        if used + wide > LINE_WIDTH and line != indent:
            yield line.rstrip()
            line, used = indent, len(indent)
        line += f"{word} "
        used += wide + 1
    yield line.rstrip()


def columns(text: str) -> int:
    """How many columns of a terminal a text takes."""
    return sum(2 if unicodedata.east_asian_width(symbol) in "WF" else 1 for symbol in text)
