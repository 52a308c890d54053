"""The tokenizer classes that this version supports, by level."""

from collections.abc import Callable
from typing import Any

from .levels import BYTE, CHARACTER, WORD


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
