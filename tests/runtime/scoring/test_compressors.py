"""What general compressors make of a text."""

import bz2
import gzip
import lzma
import random

from textgen_runtime.scoring.compressors import compressed_bits


def test_each_is_at_its_highest_level() -> None:
    """On a text in which every level of each differs from the one below."""
    rng = random.Random(0)
    # Two blocks alike, further apart than what lower levels look back over.
    block = "".join(rng.choices("abcdefgh", k=500_000))
    text = f"{block}é{block}" + "".join(rng.choices("ab", k=60_000))
    content = text.encode()
    found = compressed_bits(text)
    assert found == {
        "gzip": 8 * len(gzip.compress(content, 9)),
        "bz2": 8 * len(bz2.compress(content, 9)),
        "xz": 8 * len(lzma.compress(content, preset=9 | lzma.PRESET_EXTREME)),
    }
    assert found["gzip"] < 8 * len(gzip.compress(content, 8))
    assert found["bz2"] < 8 * len(bz2.compress(content, 8))
    assert found["xz"] < 8 * len(lzma.compress(content, preset=9))


def test_a_text_of_nothing() -> None:
    assert compressed_bits("")["xz"] == 8 * len(lzma.compress(b""))
