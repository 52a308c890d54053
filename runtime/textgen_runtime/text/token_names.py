"""How messages, tables and reports name tokens."""

from textgen_runtime.system.console import escape

from .tokenizer import BYTE, CHARACTER, REPLACEMENT, Tokenizer

# What reports call a token at the level of words, where it is a word or a character.
UNIT_OF_WORDS = "token"

# No vocabulary has it as a symbol.
END_NAME = "<end>"

FIRST_NOT_ASCII = 0x80

MAX_LISTED = 10

NAMES = {" ": "space", "\n": "newline", "\t": "tab"}


def format_symbols(symbols: list[str]) -> str:
    """Return at most 10 symbols, such as ``'é' (U+00E9), 'ж' (U+0436)``. Words have no code points."""
    listed = [
        f"{symbol!r} (U+{ord(symbol):04X})" if len(symbol) == 1 else repr(symbol)
        for symbol in symbols[:MAX_LISTED]
    ]
    remaining = len(symbols) - len(listed)
    return ", ".join(listed) + (f" and {remaining:,} more" if remaining else "")


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


def byte_name(token: int) -> str:
    r"""Return the text of a single byte: a character of ASCII, or an escape such as ``\xc3``."""
    return chr(token) if token < FIRST_NOT_ASCII else f"\\x{token:02x}"


def token_text(tokenizer: Tokenizer, token: int) -> str:
    r"""Return the text of one token that has no tokens around it.

    It is ``<end>`` for the end of a record, and U+FFFD for other special tokens. A byte that is not ASCII has
    a name such as ``\xc3``.
    """
    if token == tokenizer.special.end:
        return END_NAME
    if tokenizer.level == BYTE and tokenizer.symbols[token]:
        return byte_name(token)
    return tokenizer.symbols[token] or REPLACEMENT


def unit_of(tokenizer: Tokenizer) -> str:
    """Return what reports call one token: "character", "byte" or "token"."""
    return tokenizer.level if tokenizer.level in (CHARACTER, BYTE) else UNIT_OF_WORDS


def describe_vocabulary(size: int, unit: str, special: int) -> str:
    """Return the size of a vocabulary, such as "57 characters and 1 special token".

    Args:
        size: Number of tokens.
        unit: What reports call a token. Special tokens are tokens, but neither characters nor bytes.
        special: Number of special tokens.
    """
    if not special:
        return f"{size:,} {unit}s"
    if unit == UNIT_OF_WORDS:
        return f"{size:,} tokens, {special} of them special"
    return f"{size - special:,} {unit}s and {special} special token{'s' * (special != 1)}"
