"""The surprise page."""

import json
import re
from html import unescape

import numpy as np
from textgen_runtime.score import Prediction
from textgen_runtime.surprise_page import surprise_page

BIT = float(np.log(2))


def marks_of(page: str) -> list[tuple[str, str]]:
    """The text and the color of each token."""
    return [(unescape(text), color) for color, text in re.findall(r'<i(?: class="(\w+)")?>(.*?)</i>', page)]


def page_of(text: str, bits: list[float], *, choices: str | None = None, context: str = "·") -> str:
    prediction = Prediction(
        context, text, choices or "a" * len(text), np.array(bits) * BIT, hits=0, skipped=0
    )
    return surprise_page("A <title>", [("a & b.txt", "1 < 2 nats", prediction)])


def test_color_of_a_character_depends_on_its_surprisal() -> None:
    bits = [0.0, 0.999, 1.001, 2.001, 3.001, 4.001, 6.001, 7.999, 8.001, 99.0]
    assert marks_of(page_of("abcdefghij", bits)) == list(
        zip("abcdefghij", ["", "", "a", "b", "c", "d", "e", "e", "f", "f"], strict=True)
    )


def test_each_line_is_a_paragraph_with_its_position_and_the_context_has_no_color() -> None:
    page = page_of("ab\n\ncd\n", [1.0] * 7, context="A")
    assert "".join(symbol for symbol, _ in marks_of(page)) == "ab↵↵cd↵"
    starts = [(int(position), text) for position, text in re.findall(r'data-at="(\d+)">(.*?)<(?:i|/p)', page)]
    assert starts == [(0, "A"), (3, ""), (4, ""), (7, "")]


def test_html_syntax_in_texts_is_escaped() -> None:
    page = page_of('<&>"\x01', [1.0] * 5, choices="</s>x")
    assert "".join(symbol for symbol, _ in marks_of(page)) == '<&>"\u2401'
    for text in ("A &lt;title&gt;</h1>", "<h2>a &amp; b.txt</h2>", ">1 &lt; 2 nats</p>"):
        assert text in page
    (details,) = re.findall(r'<script type="application/json">(.*?)</script>', page)
    # Nothing can end the element.
    assert "<" not in details
    assert json.loads(details) == {"text": '<&>"\x01', "bits": [1.0] * 5, "choices": "</s>x"}


def test_nothing_is_fetched_and_the_page_has_light_and_dark_colors() -> None:
    page = page_of("ab", [1.0, 2.0])
    assert not re.search(r"<[^>]* (src|href)=|http|@import", page)
    for scheme in ('"color-scheme" content="light dark"', "prefers-color-scheme: dark"):
        assert scheme in page
