"""The tokenizer classes that this version supports, by level."""

from typing import Any

from .character_tokenizer import CHARACTER, CharacterTokenizer
from .tokenizer import Tokenizer

# The keys are values of textgen.level. Each class is called with the symbols and the unknown token, or None.
TOKENIZERS: dict[str, Any] = {CHARACTER: CharacterTokenizer}


def unit_of(tokenizer: Tokenizer) -> str:
    """Return what reports call one token: "character" or "token"."""
    return CHARACTER if tokenizer.level == CHARACTER else "token"
