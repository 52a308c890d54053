"""The levels of tokens that this version supports, and what reports call their tokens."""

from .tokenizer import Tokenizer

CHARACTER = "character"
BYTE = "byte"
WORD = "word"
LEVELS = (CHARACTER, BYTE, WORD)

# What reports call a token at the level of words, where it is a word or a character.
UNIT_OF_WORDS = "token"


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
