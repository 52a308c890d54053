"""Words of a corpus: which pieces of a text can become symbols of a word-level vocabulary."""

import re
from functools import cache

# The maximum number of characters of a symbol. Encoding takes time in proportion to it.
MAX_SYMBOL_LENGTH = 64

# What a symbol of several characters may contain, as the C core checks it. The class does not depend on the
# version of Unicode.
_WORD = re.compile(r" ?[0-9A-Za-z_\u0080-\U0010ffff]+")


def is_symbol(text: str) -> bool:
    """Return whether a text is one character, or a word of at most 64 characters.

    A word consists of letters, digits, underscores and characters outside ASCII. One space may precede it.
    """
    return len(text) == 1 or (len(text) <= MAX_SYMBOL_LENGTH and _WORD.fullmatch(text) is not None)


@cache
def piece_pattern() -> re.Pattern[str]:
    """Return the expression of the pieces of a text that can become symbols of a vocabulary.

    It cuts a text into words, each with the space before it, and other characters. A symbol of a vocabulary
    that is made of pieces never matches across the border of a piece, so a text may be cut there before
    encoding. Only training needs it, and its table takes time, so the first call makes it.
    """
    from unicodedata import category

    # Combining marks and the two joiners continue a word: most words in Hindi have some.
    marks = "".join(chr(code) for code in range(0x300, 0x1F000) if category(chr(code))[0] == "M")
    # The first alternative matches the same words as the second, in a third of the time.
    return re.compile(rf" ?[0-9A-Za-z_]++(?![^\x00-\x7f])| ?\w+(?:[{marks}\u200c\u200d]+\w*)*|.", re.DOTALL)
