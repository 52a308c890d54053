"""What general compressors make of a text: a measure that needs no model."""

import bz2
import gzip
import lzma
from collections.abc import Callable

BITS_A_BYTE = 8

# Each at its strongest.
COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": lambda content: gzip.compress(content, compresslevel=9),
    "bz2": lambda content: bz2.compress(content, compresslevel=9),
    "xz": lambda content: lzma.compress(content, preset=9 | lzma.PRESET_EXTREME),
}


def compressed_bits(text: str) -> dict[str, int]:
    """How many bits each compressor needs for the UTF-8 bytes of a text, its own headers included.

    Unlike a trained model, a compressor has seen nothing before; on a short text that tells.
    """
    content = text.encode()
    return {name: BITS_A_BYTE * len(compress(content)) for name, compress in COMPRESSORS.items()}
