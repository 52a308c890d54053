"""Records of a text, and the part of a text that is held out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textgen_runtime.text import RecordKind, held_out_start, is_held_out, split_records

TEXT = st.text(alphabet="ab \t\r\n\u2028", max_size=40)


def test_lines_are_records() -> None:
    assert split_records("emma\n ava \n\n \t\nolivia", "lines") == ["emma", " ava ", "olivia"]
    assert split_records("emma\r\nava\u2028mia\r\n", "lines") == ["emma", "ava\u2028mia"]
    assert split_records("", "lines") == split_records(" \n\n ", "lines") == []


def test_blank_lines_separate_records() -> None:
    text = "\n \nX:1\n  abc\n\n\t\n\nX:2\ndef\n \n"
    assert split_records(text, "blank") == ["X:1\n  abc", "X:2\ndef"]
    assert split_records("a\r\nb\r\n\r\nc\r\n", "blank") == ["a\r\nb", "c"]
    assert split_records("", "blank") == split_records(" \n\n ", "blank") == []


@given(TEXT, st.sampled_from((("lines", "\n"), ("blank", "\n\n"))))
def test_records_can_be_joined_and_split_again(text: str, kind_and_separator: tuple[RecordKind, str]) -> None:
    kind, separator = kind_and_separator
    records = split_records(text.replace("\r", ""), kind)
    assert split_records(separator.join(records), kind) == records
    assert all(record.strip() for record in records)


def test_held_out_records_do_not_change() -> None:
    """Other releases and other programs must select the same records."""
    names = ["emma", "olivia", "ava", "isabella", "\ud800", "charlotte", "mia", "amelia", "жанна", "\udcff"]
    assert [name for name in names if is_held_out(name, 0.5)] == [
        "emma",
        "\ud800",
        "charlotte",
        "mia",
        "amelia",
    ]


def test_share_of_held_out_records_is_close_to_the_given_share() -> None:
    names = [f"name {number}" for number in range(20_000)]
    # 4 standard deviations of a binomial distribution.
    assert sum(is_held_out(name, 0.1) for name in names) == pytest.approx(2000, abs=4 * 42.5)
    assert not any(is_held_out(name, 0.0) for name in names)
    assert all(is_held_out(name, 1.0) for name in names)


def test_a_larger_share_holds_out_the_same_records_and_more() -> None:
    names = [f"name {number}" for number in range(1000)]
    small, large = ({name for name in names if is_held_out(name, share)} for share in (0.05, 0.2))
    assert small < large


@pytest.mark.parametrize(
    ("length", "share", "start"), [(100, 0.1, 90), (101, 0.1, 91), (5, 0.0, 5), (5, 1.0, 0), (0, 0.5, 0)]
)
def test_held_out_part_is_the_requested_share(length: int, share: float, start: int) -> None:
    assert held_out_start(length, share) == start
