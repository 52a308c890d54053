"""Texts that are broken between words as they grow, for terminals."""

from unicodedata import normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textgen_runtime.cli.word_wrap import WordWrap, display_width

BOLD, PLAIN = "\x1b[1m", "\x1b[22m"


def wrapped(*chunks: str, columns: int = 11) -> str:
    """Return what a terminal gets in the end. A row of 11 columns has room for 10."""
    wrap = WordWrap(lambda: columns)
    return "".join(map(wrap.add, chunks)) + wrap.flush()


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("the will to power", ["the will ", "to power"]),
        ("four words", ["four words"]),
        ("four words, and", ["four ", "words, and"]),
        # The blank after a full row is the line end.
        ("four words and", ["four words", "and"]),
        ("four words   and", ["four words", "and"]),
        ("a\n\n  b", ["a", "", "  b"]),
        ("a word that-is-longer-than-a-row", ["a word ", "that-is-lo", "nger-than-", "a-row"]),
        ("unbreakable", ["unbreakabl", "e"]),
        ("a\u00a0b c\u00a0d e\u00a0f", ["a\u00a0b c\u00a0d ", "e\u00a0f"]),
        ("a\tb\tc", ["a\tb\t", "c"]),
        ("a\tbcd", ["a\t", "bcd"]),
        ("éàü éàü éàü", ["éàü éàü ", "éàü"]),
        # A mark belongs to the letter before it, and takes no column.
        (normalize("NFD", "éàüéàüéàüé a"), [normalize("NFD", "éàüéàüéàüé"), "a"]),
        ("日本語を書く人", ["日本語を書", "く人"]),
        ("日本語を書。人", ["日本語を", "書。人"]),
        ("日本語を「書く」人", ["日本語を", "「書く」人"]),
        ("日本語 abcde", ["日本語 ", "abcde"]),
        ("한국어는 글자다", ["한국어는 ", "글자다"]),
    ],
)
def test_a_row_ends_between_words(text: str, rows: list[str]) -> None:
    assert wrapped(text).split("\n") == rows


@pytest.mark.parametrize("columns", [0, 1])
def test_a_terminal_of_unknown_width_gets_the_text_at_once(columns: int) -> None:
    wrap = WordWrap(lambda: columns)
    parts = [*("the will to power " * 9), "日", f"{BOLD}a", PLAIN, "", "\n"]
    assert [wrap.add(part) for part in parts] == parts
    assert (wrap.flush(), wrap.is_row_empty) == ("", True)


def test_only_the_last_word_is_held_back() -> None:
    wrap = WordWrap(lambda: 11)
    shown = [wrap.add(symbol) for symbol in "the will to"]
    assert shown == ["", "", "", "the ", "", "", "", "", "will ", "", ""]
    assert wrap.add(" ") == "\nto "


@pytest.mark.parametrize(
    ("text", "word", "column", "more", "rows"),
    [
        ("the wil", "wil", 4, "ling ", "\nwilling "),
        ("the wil", "wil", 4, "l ", "will "),
        ("the will to", "\nto", 0, "ward ", "toward "),
        ("the ", "", 4, "will ", "will "),
    ],
)
def test_the_last_word_can_be_shown_before_it_is_complete(
    text: str, word: str, column: int, more: str, rows: str
) -> None:
    """It is then shown again, from where it began."""
    wrap = WordWrap(lambda: 11)
    wrap.add(text)
    assert (wrap.show_word(), wrap.column) == (word, column)
    assert wrap.add(more) == rows


@pytest.mark.parametrize(
    ("text", "is_certain"),
    [
        ("", True),
        ("abc", True),
        ("abc def", True),
        (f"a {BOLD}b{PLAIN}", True),
        ("漢字", True),
        ("four words", True),
        # A row that is full, but not too long.
        ("four words ", True),
        ("unbreakable", True),
        ("a\t", False),
        ("a\tb", False),
        ("a\tb\nc", True),
        ("\N{GRINNING FACE}", False),
        ("\N{GRINNING FACE} a", False),
        ("e\u0301 ", False),
        ("e\u0301\n", True),
        # The row after a line end begins at its start, wherever the row before ended.
        ("e\u0301 the will to", True),
        ("\N{GRINNING FACE}unbreakable", True),
        (normalize("NFD", "한"), False),
    ],
)
def test_it_is_known_whether_terminals_agree_where_a_text_ends(text: str, is_certain: bool) -> None:
    wrap = WordWrap(lambda: 11)
    wrap.add(text)
    # A chunk can be empty.
    wrap.add("")
    wrap.show_word()
    assert wrap.is_certain == is_certain
    wrap.flush()
    assert wrap.is_certain == is_certain


@pytest.mark.parametrize(
    ("text", "is_empty"),
    [("", True), ("a", False), ("a ", False), ("a\n", True), ("a\n ", False), (f"a\n{PLAIN}", True)],
)
def test_it_is_known_whether_the_row_is_empty(text: str, is_empty: bool) -> None:
    wrap = WordWrap(lambda: 11)
    wrap.add(text)
    assert wrap.is_row_empty == is_empty


def test_a_row_after_other_output_has_all_columns() -> None:
    wrap = WordWrap(lambda: 11)
    assert wrap.add("the will to") == "the will "
    wrap.begin_row(is_certain=False)
    assert wrap.add(" power ") == "to power "
    assert not wrap.is_certain
    wrap.begin_row(is_certain=False)
    assert not wrap.is_row_empty
    wrap.add("\n")
    assert (wrap.is_certain, wrap.is_row_empty) == (True, True)


@pytest.mark.parametrize(
    ("chunks", "text"),
    [
        (("the ", f"{BOLD}wil", f"l{PLAIN}ed by ", "us"), f"the {BOLD}will{PLAIN}ed\nby us"),
        ((f"the {BOLD}will{PLAIN}", "ing"), f"the \n{BOLD}will{PLAIN}ing"),
        ((f"the {BOLD}willing{PLAIN}", "ness"), f"the \n{BOLD}willing{PLAIN}nes\ns"),
    ],
)
def test_styles_take_no_column_and_do_not_end_a_word(chunks: tuple[str, ...], text: str) -> None:
    assert wrapped(*chunks) == text


def test_a_letter_after_a_wide_character_may_begin_a_row() -> None:
    assert wrapped("日本語を書", "く", "abc") == wrapped("日本語を書くabc") == "日本語を書\nくabc"
    # A character that is wider than the terminal gets no empty row.
    assert wrapped("日", "a", columns=2) == "日\na"


def test_a_row_after_a_change_of_the_width_has_the_new_width() -> None:
    columns = 21
    wrap = WordWrap(lambda: columns)
    shown = wrap.add("the will to power ")
    columns = 11
    shown += wrap.add("and ")
    assert not wrap.is_certain
    assert shown + wrap.add("no more ") == "the will to power and\nno more "


@given(
    st.lists(st.text("ab \n\t日。「한é\u0301\u200d", max_size=12), max_size=6),
    st.integers(2, 12),
)
def test_no_character_is_lost_except_blanks_at_the_end_of_a_row(chunks: list[str], columns: int) -> None:
    text = "".join(chunks)
    shown = wrapped(*chunks, columns=columns)
    assert shown == wrapped(text, columns=columns)
    assert "".join(shown.split()) == "".join(text.split())
    for row in shown.split("\n"):
        # One wide character can be wider than a row.
        assert display_width(row.replace("\t", "")) < max(columns, 3)
