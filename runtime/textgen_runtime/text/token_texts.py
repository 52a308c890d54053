"""The texts of single tokens, for lists of them."""

from .byte_tokenizer import byte_name
from .levels import BYTE
from .tokenizer import Tokenizer
from .vocabulary import REPLACEMENT

# No vocabulary has it as a symbol.
END_NAME = "<end>"


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
