"""A page that shows a text with each token, such as a character, coloured by the model's surprise.

One self-contained HTML file: styles and script are in it, nothing is fetched, and without the script the
colours are still there.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from html import escape
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from string import Template

from textgen_runtime.system.json_text import to_json

from .prediction import BITS_PER_NAT, Prediction

# Bits from which the next stronger colour begins. A token that costs under one bit was likelier than all
# others together, and stays plain.
LEVELS = (1, 2, 3, 4, 6, 8)
CLASSES = ("", "a", "b", "c", "d", "e", "f")

DECIMALS = 2

LINE_END = "\u21b5"
FIRST_PRINTABLE = 0x20
CONTROL_PICTURES = 0x2400
SIGNS: dict[int, int | str] = {code: CONTROL_PICTURES + code for code in range(FIRST_PRINTABLE)}
SIGNS |= {ord("\n"): LINE_END, ord("\t"): "\t"}


def surprise_page(title: str, texts: Sequence[tuple[str, str, Prediction]]) -> str:
    """The page.

    Args:
        title: Its heading.
        texts: For each text its name, a line of figures, and how it was predicted.
    """
    return Template(_template()).substitute(
        title=escape(title),
        legend=_legend(),
        texts="\n".join(_section(name, figures, prediction) for name, figures, prediction in texts),
    )


def is_surprise_page(path: Path) -> bool:
    """Whether a file is such a page; False too if it cannot be read."""
    opening = _template().partition("$")[0].encode()
    try:
        with path.open("rb") as file:
            return file.read(len(opening)) == opening
    except OSError:
        return False


def _template() -> str:
    return files(__package__).joinpath("surprise_page.html").read_text(encoding="utf-8")


def _legend() -> str:
    bounds = [f"under {LEVELS[0]} bit"]
    bounds += [f"{low} to {high}" for low, high in pairwise(LEVELS)]
    bounds += [f"{LEVELS[-1]} and more"]
    return "".join(f'<li class="{name}">{bound}</li>' for name, bound in zip(CLASSES, bounds, strict=True))


def _section(name: str, figures: str, prediction: Prediction) -> str:
    bits = (prediction.surprisals * BITS_PER_NAT).tolist()
    paragraphs = []
    # The first token was not predicted: it stands there plain.
    opening = escape(_visible(prediction.context))
    place = 0
    for symbols in _lines(prediction.symbols):
        marks = "".join(map(_mark, symbols, bits[place : place + len(symbols)]))
        paragraphs.append(f'<p dir="auto" data-at="{place}">{opening}{marks}</p>')
        place += len(symbols)
        opening = ""
    details = to_json(
        {
            "text": prediction.symbols,
            "bits": [round(each, DECIMALS) for each in bits],
            "choices": prediction.choices,
        },
        compact=True,
    )
    # The only thing that could end the script element early.
    details = details.replace("<", "\\u003c")
    return (
        f'<section><h2>{escape(name)}</h2><p class="figures">{escape(figures)}</p>'
        f'<div class="text">{"".join(paragraphs)}</div>'
        f'<script type="application/json">{details}</script></section>'
    )


def _lines(symbols: Sequence[str]) -> Iterator[Sequence[str]]:
    """Lines of tokens, each with the one that ends it; what follows the last line end is a line too."""
    start = 0
    for end, symbol in enumerate(symbols, 1):
        # In a model's text all line ends are this one.
        if symbol.endswith("\n"):
            yield symbols[start:end]
            start = end
    yield symbols[start:]


def _mark(symbol: str, bits: float) -> str:
    level = CLASSES[bisect_right(LEVELS, bits)]
    shown = escape(_visible(symbol))
    return f'<i class="{level}">{shown}</i>' if level else f"<i>{shown}</i>"


def _visible(text: str) -> str:
    """A text with a sign for each line end and control character, which a page does not show."""
    return text if text.isprintable() else text.translate(SIGNS)
