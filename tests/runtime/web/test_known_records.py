"""The filter of known records in the page."""

import base64
import hashlib
import re

import pytest
from textgen_runtime.errors import CorpusError
from textgen_runtime.web.known_records import known_records

RECORDS = [f"record {number}, \u00e9\U0001d11e" for number in range(3000)]


@pytest.mark.parametrize("count", [1, 2, 3000])
def test_all_records_are_known_and_fewer_than_one_in_a_hundred_others(count: int) -> None:
    found = re.fullmatch(
        r'<script type="text/plain" id="known" data-count="(\d+)" data-hashes="7">(.*)</script>',
        known_records(RECORDS[:count]),
    )
    assert found
    bits = base64.b64decode(found[2])
    assert (int(found[1]), len(bits)) == (count, 10 * count // 8 + 1)

    def has(record: str) -> bool:
        first, step = (
            int.from_bytes(hashlib.sha256(record.encode()).digest()[i : i + 4], "little") for i in (0, 4)
        )
        places = ((first + i * (step | 1)) % (8 * len(bits)) for i in range(7))
        return all(bits[place // 8] >> place % 8 & 1 for place in places)

    assert all(map(has, RECORDS[:count]))
    assert sum(has(f"other {number}") for number in range(10_000)) < (100 if count == 3000 else 500)


def test_a_corpus_without_records_is_refused() -> None:
    with pytest.raises(CorpusError):
        known_records([])
