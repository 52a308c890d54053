"""The pieces of a text that can become symbols of a word-level vocabulary.

Only training needs them. They have their own module because its table takes time, which programs that run
models do not need to spend.
"""

import re
from unicodedata import category

# Combining marks and the two joiners continue a word: most words in Hindi have some.
_MARKS = "".join(chr(code) for code in range(0x300, 0x1F000) if category(chr(code))[0] == "M")

# Cuts a text into words, each with the space before it, and other characters. A symbol of a vocabulary that
# is made of pieces never matches across the border of a piece, so a text may be cut there before encoding.
# The first alternative matches the same words as the second, in a third of the time.
PIECE = re.compile(rf" ?[0-9A-Za-z_]++(?![^\x00-\x7f])| ?\w+(?:[{_MARKS}\u200c\u200d]+\w*)*|.", re.DOTALL)
