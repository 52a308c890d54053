"""The frequent words of a text, which become symbols of a word-level vocabulary."""

from collections import Counter
from collections.abc import Iterable, Iterator

from textgen_runtime.text.word_pieces import PIECE
from textgen_runtime.text.word_tokenizer import WordTokenizer

from .parts import Block

# Rarer words are spelled with their characters.
MIN_OCCURRENCES = 3

# If a text has more different pieces, the rarest are no longer counted. This bounds the memory to about
# 200 MB.
MAX_COUNTED_PIECES = 1_000_000

# Number of characters at the end of a block in which a border of pieces is searched.
BORDER_REGION = 1024


def count_pieces(blocks: Iterable[Block], *, has_records: bool) -> Counter[str]:
    """Count the pieces of the training part: words, each with the space before it, and other characters."""
    counts: Counter[str] = Counter()
    dropped = 0
    for text in _whole_pieces(blocks, "\n" if has_records else ""):
        counts.update(PIECE.findall(text))
        while len(counts) > MAX_COUNTED_PIECES:
            dropped += 1
            counts = Counter({piece: count for piece, count in counts.items() if count > dropped})
    return counts


def frequent_pieces(counts: Counter[str], number: int) -> list[str]:
    """Return the most frequent pieces of several characters, the most frequent first.

    Args:
        counts: The result of ``count_pieces``.
        number: Maximum number of pieces.
    """
    pieces = [
        (-count, piece)
        for piece, count in counts.items()
        if count >= MIN_OCCURRENCES and len(piece) > 1 and WordTokenizer.is_symbol(piece)
    ]
    return [piece for _, piece in sorted(pieces)[:number]]


def _whole_pieces(blocks: Iterable[Block], separator: str) -> Iterator[str]:
    """Yield the training text in parts that end between two pieces."""
    rest = ""
    for block in blocks:
        text = rest + "".join([part + separator for part in block.training])
        border = max(text.rfind(" ", -BORDER_REGION), text.rfind("\n", -BORDER_REGION))
        border = len(text) if border < 0 else border
        yield text[:border]
        rest = text[border:]
    yield rest
