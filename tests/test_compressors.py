"""What general compressors make of a text."""

import bz2
import gzip
import lzma
import random

from textgen_runtime.compressors import compressed_bits


def test_each_is_at_its_strongest() -> None:
    randomness = random.Random(0)
    words = ["".join(randomness.choices("abcdefghé", k=5)) for _ in range(500)]
    text = " ".join(randomness.choices(words, k=40_000))
    content = text.encode()
    found = compressed_bits(text)
    assert found == {
        "gzip": 8 * len(gzip.compress(content, 9)),
        "bz2": 8 * len(bz2.compress(content, 9)),
        "xz": 8 * len(lzma.compress(content, preset=9 | lzma.PRESET_EXTREME)),
    }
    # On this text the levels differ.
    assert found["gzip"] < 8 * len(gzip.compress(content, 1))
    assert found["bz2"] < 8 * len(bz2.compress(content, 1))
    assert found["xz"] < 8 * len(lzma.compress(content, preset=0))
