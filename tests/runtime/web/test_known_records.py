"""The filter of known records in the page."""

import base64
import re

import pytest
from textgen_runtime.errors import CorpusError, OutputError
from textgen_runtime.web import known_records as module
from textgen_runtime.web.known_records import KnownRecords, add_known_records, known_records
from textgen_runtime.web.page import one_file

RECORDS = [f"record {number}, \u00e9\U0001d11e" for number in range(3000)]


def has(known: KnownRecords, record: str) -> bool:
    size = 8 * len(known.bits)
    return all(
        known.bits[position // 8] >> position % 8 & 1
        for position in module._positions(record, known.hashes, size)
    )


@pytest.mark.parametrize(("page_size", "bits"), [(10**6, 30_000), (20_000, 18_000)])
def test_all_records_are_known_and_as_many_others_as_stated(page_size: int, bits: int) -> None:
    """A small page has a smaller filter."""
    known = known_records(RECORDS, page_size)
    assert (known.record_count, 8 * len(known.bits)) == (3000, bits)
    assert all(has(known, record) for record in RECORDS)
    taken = sum(has(known, f"other {number}") for number in range(20_000)) / 20_000
    assert taken == pytest.approx(known.false_positives, rel=0.2)
    assert (known.false_positives < 0.01) == (page_size == 10**6)


def test_the_longest_record_is_measured_as_javascript_does() -> None:
    assert known_records(["abc", "\U0001d11e\U0001d11e"], 10**6).longest == 4


def test_the_filter_adds_at_most_15_percent_to_the_page() -> None:
    files = one_file(bytes(1000), title="a", prompt="")
    size = len(files["index.html"])
    most = 8 * 0.15 * size * 3 / 4
    known = known_records([str(number) for number in range(int(most / 3) - 10)], size)
    page = add_known_records(files, known)["index.html"]
    assert 1.14 * size < len(page) < 1.15 * size + 200
    found = re.search(
        rb'<script type="text/plain" id="known" data-count="(\d+)" data-hashes="2" data-longest="5">'
        rb"(.*?)</script>",
        page,
    )
    assert found
    assert (int(found[1]), base64.b64decode(found[2])) == (known.record_count, known.bits)
    assert page.endswith(b"</script>\n</html>\n")
    with pytest.raises(
        OutputError, match=r"the corpus has 999,999 records, too many .* which can know \d\d,\d"
    ):
        known_records([str(number) for number in range(999_999)], size)


def test_a_corpus_without_records_is_refused() -> None:
    with pytest.raises(CorpusError, match="the corpus has no records: pass another one with --novel"):
        known_records([], 10**6)


@pytest.mark.parametrize("count", [1, 2])
def test_few_records_have_a_filter_of_whole_bytes(count: int) -> None:
    known = known_records(RECORDS[:count], 10**6)
    assert all(has(known, record) for record in RECORDS[:count])
    assert sum(has(known, record) for record in RECORDS) < 300
