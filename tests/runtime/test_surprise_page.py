"""The surprise page, parsed as HTML."""

import json
import re
from html.parser import HTMLParser

import numpy as np
from textgen_runtime.score import Prediction
from textgen_runtime.surprise_page import surprise_page

BIT = float(np.log(2))


class PageParser(HTMLParser):
    """Collects the marks, links and texts of the page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.marks: list[tuple[str, str]] = []
        self.positions: list[int] = []
        self.links: list[str] = []
        self.text: dict[str, str] = {}
        self._open: list[str] = []
        self._class = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        self.links += [str(attributes[name]) for name in ("src", "href") if name in attributes]
        if tag in ("meta", "link"):
            return
        self._open.append(tag)
        self._class = attributes.get("class") or ""
        if "data-at" in attributes:
            self.positions.append(int(str(attributes["data-at"])))

    def handle_endtag(self, tag: str) -> None:
        if self._open and self._open[-1] == tag:
            self._open.pop()

    def handle_data(self, data: str) -> None:
        tag = self._open[-1] if self._open else ""
        self.text[tag] = self.text.get(tag, "") + data
        if tag == "i":
            self.marks.append((data, self._class))


def page_of(text: str, bits: list[float], *, choices: str | None = None, context: str = "·") -> str:
    prediction = Prediction(
        context, text, choices or "a" * len(text), np.array(bits) * BIT, hits=0, skipped=0
    )
    return surprise_page("A <title>", [("a & b.txt", "1 < 2 nats", prediction)])


def test_color_of_a_character_depends_on_its_surprisal() -> None:
    bits = [0.0, 0.999, 1.001, 2.001, 3.001, 4.001, 6.001, 7.999, 8.001, 99.0]
    assert PageParser(page_of("abcdefghij", bits)).marks == list(
        zip("abcdefghij", ["", "", "a", "b", "c", "d", "e", "e", "f", "f"], strict=True)
    )


def test_each_line_is_a_paragraph_with_its_position() -> None:
    parser = PageParser(page_of("ab\n\ncd\n", [1.0] * 7))
    assert "".join(symbol for symbol, _ in parser.marks) == "ab↵↵cd↵"
    assert parser.positions == [0, 3, 4, 7]


def test_context_is_shown_without_a_color() -> None:
    parser = PageParser(page_of("bc", [1.0, 1.0], context="A"))
    assert parser.text["p"].endswith("A")
    assert "".join(symbol for symbol, _ in parser.marks) == "bc"


def test_html_syntax_in_texts_is_escaped() -> None:
    page = page_of('<&>"\x01', [1.0] * 5, choices="</s>x")
    parser = PageParser(page)
    assert "".join(symbol for symbol, _ in parser.marks) == '<&>"\u2401'
    assert parser.text["h1"] == "A <title>"
    assert parser.text["h2"] == "a & b.txt"
    assert "1 < 2 nats" in parser.text["p"]
    (details,) = re.findall(r'<script type="application/json">(.*?)</script>', page)
    # Nothing can end the element.
    assert "<" not in details
    assert json.loads(details) == {"text": '<&>"\x01', "bits": [1.0] * 5, "choices": "</s>x"}


def test_nothing_is_fetched_and_the_page_has_light_and_dark_colors() -> None:
    page = page_of("ab", [1.0, 2.0])
    assert PageParser(page).links == []
    assert "http" not in page
    assert "@import" not in page
    for scheme in ('"color-scheme" content="light dark"', "prefers-color-scheme: dark"):
        assert scheme in page
