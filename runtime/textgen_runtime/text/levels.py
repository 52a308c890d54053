"""The tokenizer classes that this version supports, by level."""

from collections.abc import Callable
from typing import Any

from .tokenizer import Tokenizer

CHARACTER = "character"
BYTE = "byte"
WORD = "word"
LEVELS = (CHARACTER, BYTE, WORD)


def _character() -> Any:
    from .character_tokenizer import CharacterTokenizer

    return CharacterTokenizer


def _byte() -> Any:
    from .byte_tokenizer import ByteTokenizer

    return ByteTokenizer


def _word() -> Any:
    from .word_tokenizer import WordTokenizer

    return WordTokenizer


# The keys are values of textgen.level. Each function imports a class when a model needs it. The class is
# called with the symbols and the special tokens.
TOKENIZERS: dict[str, Callable[[], Any]] = {CHARACTER: _character, BYTE: _byte, WORD: _word}


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
