"""Visible names of symbols."""

import pytest
from textgen_runtime.text.token_names import symbol_name


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
