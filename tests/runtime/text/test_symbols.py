"""Visible names of symbols, and their width in a terminal."""

import pytest
from textgen_runtime.text.symbols import display_width, symbol_name


@pytest.mark.parametrize(
    ("symbol", "name"),
    [
        (" ", "space"),
        ("\n", "newline"),
        ("\t", "tab"),
        ("é", "é"),
        ("\\", "\\"),
        ("\r", "\\r"),
        ("\x1b", "\\x1b"),
        ("\u00a0", "\\xa0"),
        ("\u200b", "\\u200b"),
        ("\u0301", "\\u0301"),
        ("\ue000", "\\ue000"),
        ("\U000e0001", "\\U000e0001"),
        ("the", "the"),
        (" the", "' the'"),
        ("a\n", "'a\\n'"),
    ],
)
def test_every_symbol_has_a_visible_name(symbol: str, name: str) -> None:
    assert symbol_name(symbol) == name
    assert name.isprintable()


@pytest.mark.parametrize(
    ("text", "width"), [("", 0), ("abc", 3), ("é", 1), ("e\u0301", 1), ("中文", 4), ("\uff21", 2)]
)
def test_the_width_is_that_in_a_terminal(text: str, width: int) -> None:
    assert display_width(text) == width
