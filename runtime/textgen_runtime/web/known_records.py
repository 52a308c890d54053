"""The records of a corpus as a Bloom filter, by which the page shows only new ones.

Source: B. H. Bloom, Space/time trade-offs in hash coding with allowable errors, 1970. The positions of a
record are as in A. Kirsch and M. Mitzenmacher, Less hashing, same performance, 2008. ``page/known.js`` reads
the filter.
"""

import base64
import hashlib
import math
from collections.abc import Collection, Mapping
from typing import NamedTuple

from textgen_runtime.errors import CorpusError, OutputError

from .page import PAGE_FILE

# With 10 bits for each record, fewer than one in a hundred new records is taken for a known one.
BITS_PER_RECORD = 10
# With fewer, the page would reject too many new records.
MIN_BITS_PER_RECORD = 3

# The filter adds at most this share to the size of the page.
MAX_SHARE = 0.15


class KnownRecords(NamedTuple):
    """The records that the page does not show.

    Attributes:
        record_count: The number of records.
        bits: The Bloom filter, a multiple of 8 bits.
        hashes: The number of positions of each record.
        longest: The length of the longest record, in UTF-16 code units, as JavaScript counts.
    """

    record_count: int
    bits: bytes
    hashes: int
    longest: int

    @property
    def false_positives(self) -> float:
        """The share of the new records that the filter takes for known ones, in [0, 1]."""
        return (1 - math.exp(-self.hashes * self.record_count / (8 * len(self.bits)))) ** self.hashes


def known_records(records: Collection[str], page_size: int) -> KnownRecords:
    """Return the filter of some records.

    Args:
        records: The records, normalized.
        page_size: The size of the page without the filter, in bytes.

    Raises:
        CorpusError: If there are no records.
        OutputError: If there are too many records for a page of this size.
    """
    if not records:
        raise CorpusError("the corpus has no records: pass another one with --novel, or omit it")
    # In the page, three bytes are four characters.
    most = int(8 * MAX_SHARE * page_size * 3 / 4)
    size = min(BITS_PER_RECORD * len(records), most) // 8 * 8
    if size < MIN_BITS_PER_RECORD * len(records):
        raise OutputError(
            f"the corpus has {len(records):,} records, too many for a page of this size, which can know "
            f"{most // MIN_BITS_PER_RECORD:,}: pass a part of the corpus with --novel, or omit it"
        )
    hashes = max(1, round(size / len(records) * math.log(2)))
    bits = bytearray(size // 8)
    for record in records:
        for position in _positions(record, hashes, size):
            bits[position // 8] |= 1 << position % 8
    longest = max(len(record.encode("utf-16-le")) // 2 for record in records)
    return KnownRecords(len(records), bytes(bits), hashes, longest)


def add_known_records(files: Mapping[str, bytes], known: KnownRecords) -> dict[str, bytes]:
    """Return the files of a page that shows only other records."""
    element = (
        f'<script type="text/plain" id="known" data-count="{known.record_count}" '
        f'data-hashes="{known.hashes}" data-longest="{known.longest}">'
        f"{base64.b64encode(known.bits).decode()}</script>\n"
    )
    before, end, after = files[PAGE_FILE].rpartition(b"</html>")
    return {**files, PAGE_FILE: before + element.encode() + end + after}


def _positions(record: str, hashes: int, size: int) -> list[int]:
    digest = hashlib.sha256(record.encode()).digest()
    first, step = (int.from_bytes(digest[start : start + 4], "little") for start in (0, 4))
    # The size is even. With an odd step, the positions are not all even or all odd.
    return [(first + index * (step | 1)) % size for index in range(hashes)]
