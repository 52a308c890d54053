"""``CorpusLookup``: finds out whether generated texts stand in a corpus."""

from functools import cached_property

from .substrings import SubstringIndex


class CorpusLookup:
    """Finds texts in a corpus. It is prepared at the first text; then each text takes about a microsecond.

    Args:
        text: The corpus, normalized as the texts are.
    """

    def __init__(self, text: str) -> None:
        self._text = text

    def has(self, text: str) -> bool:
        """Whether a text occurs anywhere in the corpus. An empty text occurs in every corpus."""
        return _encode(text) in self._index

    def has_lines(self, lines: str) -> bool:
        """Whether the corpus has this line, or these consecutive lines.

        Args:
            lines: One or more lines, without the last line end.
        """
        if "\n" not in lines:
            return lines in self._lines
        return (
            _encode(f"\n{lines}\n") in self._index
            or self._text.startswith(f"{lines}\n")
            or self._text.endswith(f"\n{lines}")
            or self._text == lines
        )

    @cached_property
    def _index(self) -> SubstringIndex:
        return SubstringIndex(_encode(self._text))

    @cached_property
    def _lines(self) -> frozenset[str]:
        return frozenset(self._text.split("\n"))


def _encode(text: str) -> bytes:
    # A vocabulary may have half of a surrogate pair, which no corpus has.
    return text.encode("utf-8", "surrogatepass")
