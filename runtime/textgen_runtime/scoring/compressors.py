"""What general compressors make of a text: a measure that needs no model."""

import bz2
import gzip
import lzma
from collections.abc import Callable

BITS_A_BYTE = 8

# What xz's highest preset looks back over at most. A shorter text needs no more than its own length, and xz
# reserves ten times this much memory before it has read a byte.
MAX_DICTIONARY = 64 << 20
MIN_DICTIONARY = 1 << 12


def _xz(content: bytes) -> bytes:
    dictionary = min(max(len(content), MIN_DICTIONARY), MAX_DICTIONARY)
    lzma2 = {"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "dict_size": dictionary}
    return lzma.compress(content, filters=[lzma2])


# Each at its highest level.
COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": lambda content: gzip.compress(content, compresslevel=9),
    "bz2": lambda content: bz2.compress(content, compresslevel=9),
    "xz": _xz,
}


def compressed_bits(text: str) -> dict[str, int]:
    """How many bits each compressor needs for the UTF-8 bytes of a text, its own headers included.

    Unlike a trained model, a compressor has seen nothing before; on a short text that tells.
    """
    content = text.encode()
    return {name: BITS_A_BYTE * len(compress(content)) for name, compress in COMPRESSORS.items()}
