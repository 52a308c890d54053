"""Several values on one line of an interactive session."""

from ._interactive_commands import LineError

QUOTES = "\"'"


def split_words(text: str) -> list[str]:
    r"""Return the words of a text. A word in quotes may have spaces.

    Backslashes are kept, unlike in a shell, because ``\n`` stands for a line end.

    Raises:
        LineError: If there is no word, or if a quote is not closed.
    """
    # Imported here because most sessions do not need it.
    from shlex import shlex

    lexer = shlex(text, posix=True, punctuation_chars=False)
    lexer.whitespace_split = True
    lexer.escape = lexer.commenters = ""
    try:
        words = list(lexer)
    except ValueError:
        raise LineError(f"a quote is not closed: {text}") from None
    if not words:
        raise LineError("a value is missing")
    return words


def join_words(words: list[str]) -> str:
    """Return a text from which ``split_words`` gives these words, if no word has quotes of both kinds."""
    return " ".join([_quoted(word) for word in words])


def _quoted(word: str) -> str:
    if word and not any(symbol.isspace() or symbol in QUOTES for symbol in word):
        return word
    quote = QUOTES[1] if QUOTES[0] in word else QUOTES[0]
    return f"{quote}{word}{quote}"
