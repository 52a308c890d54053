"""Compressed sizes of a text."""

import bz2
import gzip
import lzma
import random

from textgen_runtime.scoring.compressors import compressed_bits


def test_each_compressor_uses_its_highest_level() -> None:
    """The highest level of each compressor gives a smaller result for this text than the level below."""
    rng = random.Random(0)
    # Two equal blocks, farther apart than the windows of lower levels.
    block = "".join(rng.choices("abcdefgh", k=500_000))
    text = f"{block}é{block}" + "".join(rng.choices("ab", k=60_000))
    content = text.encode()
    sizes = compressed_bits(text)
    assert sizes == {
        "gzip": 8 * len(gzip.compress(content, 9)),
        "bz2": 8 * len(bz2.compress(content, 9)),
        "xz": 8 * len(lzma.compress(content, preset=9 | lzma.PRESET_EXTREME)),
    }
    assert sizes["gzip"] < 8 * len(gzip.compress(content, 8))
    assert sizes["bz2"] < 8 * len(bz2.compress(content, 8))
    assert sizes["xz"] < 8 * len(lzma.compress(content, preset=9))


def test_empty_text_can_be_compressed() -> None:
    assert compressed_bits("")["xz"] == 8 * len(lzma.compress(b""))
