"""The records of a corpus as a Bloom filter, by which the page shows only new ones.

Source: B. H. Bloom, Space/time trade-offs in hash coding with allowable errors, 1970. The positions of a
record are as in A. Kirsch and M. Mitzenmacher, Less hashing, same performance, 2008. ``page/shelf.js`` reads
the filter.
"""

import base64
import hashlib
from collections.abc import Collection

from textgen_runtime.errors import CorpusError

# Of the new records, 0.8% are taken for known ones.
BITS_PER_RECORD = 10
HASHES = 7


def known_records(records: Collection[str]) -> str:
    """Return an element of the page with the filter of some records.

    Args:
        records: The records, normalized.

    Raises:
        CorpusError: If there are no records.
    """
    if not records:
        raise CorpusError("the corpus has no records: pass another one with --novel, or omit it")
    bits = bytearray(BITS_PER_RECORD * len(records) // 8 + 1)
    for record in records:
        digest = hashlib.sha256(record.encode()).digest()
        first, step = (int.from_bytes(digest[start : start + 4], "little") for start in (0, 4))
        for index in range(HASHES):
            # The size is even. With an odd step, the positions are not all even or all odd.
            position = (first + index * (step | 1)) % (8 * len(bits))
            bits[position // 8] |= 1 << position % 8
    return (
        f'<script type="text/plain" id="known" data-count="{len(records)}" data-hashes="{HASHES}">'
        f"{base64.b64encode(bits).decode()}</script>"
    )
