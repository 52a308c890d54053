"""How many columns and rows texts take in a terminal, and the visible names of symbols."""

from unicodedata import normalize

import pytest
from textgen_runtime.cli.word_wrap import display_width, rows_of
from textgen_runtime.tokenizer import symbol_name


@pytest.mark.parametrize(
    ("line", "rows"),
    [
        ("> abc", 1),
        ("x" * 79, 1),
        ("x" * 81, 2),
        ("é" * 170, 3),
        ("漢" * 41, 2),
        # No wide character is broken: one column of each row stays empty.
        ("x" + "漢" * 40, 2),
        ("x" + "漢、" * 39, 2),
        ("x" + "漢" * 80, 3),
        ("\N{FULLWIDTH LATIN SMALL LETTER X}" * 41, 2),
        (normalize("NFC", "한글") * 41, 3),
        # Characters of uncertain width: at most two columns each.
        ("漢" * 39, 1),
        ("\x01" * 39, 1),
        ("e" + "\u0301" * 38, 1),
    ],
)
def test_the_rows_of_a_line_of_simple_characters_are_known(line: str, rows: int) -> None:
    assert rows_of(line, 80, 24) == rows


@pytest.mark.parametrize(
    "line",
    [
        "x" * 80,
        "漢" * 40,
        "x" + "漢" * 79,
        "\N{GRINNING FACE}" * 41,
        "\x01" * 41,
        "e" + "\u0301" * 90,
        normalize("NFD", "한글") * 21,
        "\u1100\ud7b0" * 21,
        "a\nb",
        "a\tb",
        "x" * 80 * 24,
    ],
)
def test_rows_that_depend_on_the_terminal_are_not_known(line: str) -> None:
    assert rows_of(line, 80, 24) is None


def test_a_terminal_of_unknown_size_has_no_known_rows() -> None:
    assert rows_of("> a", 0, 0) is None


@pytest.mark.parametrize(
    ("text", "width"), [("", 0), ("abc", 3), ("é", 1), ("e\u0301", 1), ("中文", 4), ("\uff21", 2)]
)
def test_the_width_is_that_in_a_terminal(text: str, width: int) -> None:
    assert display_width(text) == width


@pytest.mark.parametrize(
    ("symbol", "name"),
    [
        (" ", "space"),
        ("\n", "newline"),
        ("\t", "tab"),
        ("é", "é"),
        ("\\", "\\"),
        ("\r", "\\r"),
        ("\u00a0", "\\xa0"),
        ("\u0301", "\\u0301"),
        ("\U000e0001", "\\U000e0001"),
        ("the", "the"),
        (" the", "' the'"),
        ("a\n", "'a\\n'"),
    ],
)
def test_every_symbol_has_a_visible_name(symbol: str, name: str) -> None:
    assert symbol_name(symbol) == name
    assert name.isprintable()
