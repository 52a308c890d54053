"""Compressed sizes of a text."""

import bz2
import gzip
import lzma
import random

from textgen_runtime.scoring.compressors import COMPRESSORS, compressed_bits


def test_each_compressor_uses_its_highest_level() -> None:
    """The highest level of each compressor gives another result for these texts than the level below."""
    rng = random.Random(0)
    block = "".join(rng.choices("abcdefgh", k=30_000))
    text = f"{block}é{block}" + "".join(rng.choices("ab", k=60_000))
    content = text.encode()
    sizes = compressed_bits(text)
    assert sizes == {
        "gzip": 8 * len(gzip.compress(content, 9)),
        "bz2": 8 * len(bz2.compress(content, 9)),
        "xz": 8 * len(lzma.compress(content, preset=9 | lzma.PRESET_EXTREME)),
    }
    assert sizes["gzip"] < 8 * len(gzip.compress(content, 8))
    assert sizes["xz"] != 8 * len(lzma.compress(content, preset=9))
    # Both halves are in one block of bz2 only at the highest level.
    halves = rng.randbytes(430_000) * 2
    size = len(COMPRESSORS["bz2"](halves))
    assert size == len(bz2.compress(halves, 9)) < len(bz2.compress(halves, 8))


def test_empty_text_can_be_compressed() -> None:
    assert compressed_bits("")["xz"] == 8 * len(lzma.compress(b""))
