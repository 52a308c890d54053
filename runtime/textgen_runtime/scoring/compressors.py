"""Compressed size of a text, as a baseline that needs no model."""

import bz2
import gzip
import lzma
from collections.abc import Callable

BITS_PER_BYTE = 8

# Bytes. The maximum is the dictionary size of xz's highest preset. A short text needs a dictionary no larger
# than the text, and xz allocates ten times the dictionary size before it reads a byte.
MAX_DICTIONARY_SIZE = 64 << 20
MIN_DICTIONARY_SIZE = 1 << 12


def _xz(content: bytes) -> bytes:
    dictionary_size = min(max(len(content), MIN_DICTIONARY_SIZE), MAX_DICTIONARY_SIZE)
    lzma2 = {"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "dict_size": dictionary_size}
    return lzma.compress(content, filters=[lzma2])


# Each compressor uses its highest level.
COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": lambda content: gzip.compress(content, compresslevel=9),
    "bz2": lambda content: bz2.compress(content, compresslevel=9),
    "xz": _xz,
}


def compressed_bits(text: str) -> dict[str, int]:
    """Return the size in bits of a text in UTF-8, compressed by each compressor, with its headers.

    U+DC80 to U+DCFF stand for bytes that are not UTF-8.

    A compressor, unlike a trained model, has no knowledge of other texts. It therefore compresses short texts
    poorly.
    """
    content = text.encode("utf-8", "surrogateescape")
    return {name: BITS_PER_BYTE * len(compress(content)) for name, compress in COMPRESSORS.items()}
