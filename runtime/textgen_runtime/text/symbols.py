"""How messages name symbols of a vocabulary."""

from textgen_runtime.system.console import escape

MAX_LISTED = 10


def format_symbols(symbols: list[str]) -> str:
    """Return at most 10 symbols with their code points, such as ``'é' (U+00E9), 'ж' (U+0436)``."""
    listed = [f"{symbol!r} ({_code_points(symbol)})" for symbol in symbols[:MAX_LISTED]]
    remaining = len(symbols) - len(listed)
    return ", ".join(listed) + (f" and {remaining} more" if remaining else "")


def _code_points(symbol: str) -> str:
    return " ".join([f"U+{ord(character):04X}" for character in symbol])


NAMES = {" ": "space", "\n": "newline", "\t": "tab"}


def symbol_name(symbol: str) -> str:
    """Return a visible name for a symbol in a table or on an axis.

    White space has a name, such as ``space``. A character without a shape of its own, such as a control
    character or a combining accent, is an escape. A symbol of several characters, such as a word, is quoted
    if it needs an escape or has white space.
    """
    if symbol in NAMES:
        return NAMES[symbol]
    if len(symbol) == 1:
        return symbol if _has_shape(symbol) else escape(symbol)
    return symbol if all(_has_shape(character) for character in symbol) else repr(symbol)


def _has_shape(character: str) -> bool:
    # Imported only when needed, because importing it takes longer than generating a short text.
    from unicodedata import category

    is_combining = category(character).startswith("M")
    return character.isprintable() and not character.isspace() and not is_combining
