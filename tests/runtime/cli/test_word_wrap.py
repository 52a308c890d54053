"""Texts that are broken between words as they grow, for terminals."""

from unicodedata import normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textgen_runtime.cli.word_wrap import WordWrap, display_width
from textgen_runtime.tokenizer import symbol_name

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
    assert (wrap.flush(), wrap.column) == ("", 0)


def test_only_the_last_word_is_held_back() -> None:
    wrap = WordWrap(lambda: 11)
    shown = [wrap.add(symbol) for symbol in "the will to"]
    assert shown == ["", "", "", "the ", "", "", "", "", "will ", "", ""]
    assert wrap.add(" ") == "\nto "


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
    assert shown + wrap.add("no more ") == "the will to power and\nno more "


@pytest.mark.parametrize(
    ("text", "width"), [("", 0), ("abc", 3), ("é", 1), ("e\u0301", 1), ("中文", 4), ("\uff21", 2)]
)
def test_the_width_is_that_in_a_terminal(text: str, width: int) -> None:
    assert display_width(text) == width


@pytest.mark.parametrize(
    ("symbol", "name"),
    [
        *((" ", "space"), ("\n", "newline"), ("\t", "tab"), ("é", "é"), ("\\", "\\"), ("\r", "\\r")),
        *(("\u00a0", "\\xa0"), ("\u0301", "\\u0301"), ("\U000e0001", "\\U000e0001"), ("the", "the")),
        *((" the", "' the'"), ("a\n", "'a\\n'")),
    ],
)
def test_every_symbol_has_a_visible_name(symbol: str, name: str) -> None:
    assert symbol_name(symbol) == name
    assert name.isprintable()


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
