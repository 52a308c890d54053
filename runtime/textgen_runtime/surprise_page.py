"""An HTML page that colors each token of a text, such as a character, by its surprisal.

The page is one self-contained file: styles and script are inline. Without the script, the colors remain.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from html import escape
from importlib.resources import files
from itertools import pairwise
from string import Template

from .json_text import to_json
from .score import BITS_PER_NAT, Prediction

# The minimum surprisal of each color, in bits. A token with a surprisal under one bit has no color: it was
# more likely than all other tokens combined.
COLOR_BOUNDS = (1, 2, 3, 4, 6, 8)
COLOR_CLASSES = ("", "a", "b", "c", "d", "e", "f")

DECIMALS = 2

LINE_END = "\u21b5"
FIRST_PRINTABLE = 0x20
CONTROL_PICTURES = 0x2400
VISIBLE_SYMBOLS: dict[int, int | str] = {code: CONTROL_PICTURES + code for code in range(FIRST_PRINTABLE)}
VISIBLE_SYMBOLS |= {ord("\n"): LINE_END, ord("\t"): "\t"}


def surprise_page(title: str, texts: Sequence[tuple[str, str, Prediction]]) -> str:
    """Return the page as HTML.

    Args:
        title: The title and heading of the page.
        texts: The name, a line of figures, and the prediction of each text.
    """
    return Template(_template()).substitute(
        title=escape(title),
        legend=_legend(),
        texts="\n".join(_section(name, figures, prediction) for name, figures, prediction in texts),
    )


def _template() -> str:
    return files(__package__).joinpath("surprise_page.html").read_text(encoding="utf-8")


def _legend() -> str:
    labels = [f"under {COLOR_BOUNDS[0]} bit"]
    labels += [f"{low} to {high} bits" for low, high in pairwise(COLOR_BOUNDS)]
    labels += [f"{COLOR_BOUNDS[-1]} bits or more"]
    return "".join(
        f'<li class="{name}">{label}</li>' for name, label in zip(COLOR_CLASSES, labels, strict=True)
    )


def _section(name: str, figures: str, prediction: Prediction) -> str:
    all_symbols, bits, choices = _characters(prediction)
    paragraphs = []
    # The token before the first predicted token is shown without a color.
    context = escape(_visible(prediction.context))
    position = 0
    for symbols in _lines(all_symbols):
        marks = "".join(map(_mark, symbols, bits[position : position + len(symbols)]))
        paragraphs.append(f'<p dir="auto" data-at="{position}">{context}{marks}</p>')
        position += len(symbols)
        context = ""
    details = to_json(
        {
            "text": all_symbols,
            "bits": [round(value, DECIMALS) for value in bits],
            "choices": choices,
        },
        compact=True,
    )
    # Escape "<", because "</script" would end the script element.
    details = details.replace("<", "\\u003c")
    return (
        f'<section><h2>{escape(name)}</h2><p class="figures">{escape(figures)}</p>'
        f'<div class="text">{"".join(paragraphs)}</div>'
        f'<script type="application/json">{details}</script></section>'
    )


def _characters(prediction: Prediction) -> tuple[Sequence[str], list[float], Sequence[str]]:
    """Return the texts, the surprisals in bits and the choices. The bytes of a character are merged."""
    symbols, choices = prediction.symbols, prediction.choices
    bits = (prediction.surprisals * BITS_PER_NAT).tolist()
    if isinstance(symbols, str) or all(symbols):
        return symbols, bits, choices
    last = [i for i, symbol in enumerate(symbols) if symbol] or [len(symbols) - 1]
    starts = [0, *(i + 1 for i in last[:-1])]
    parts = [slice(start, i + 1) for start, i in zip(starts, last, strict=True)]
    return (
        [symbols[i] for i in last],
        [sum(bits[part]) for part in parts],
        ["".join(choices[part]) for part in parts],
    )


def _lines(symbols: Sequence[str]) -> Iterator[Sequence[str]]:
    """Split tokens into lines. Each line includes its line end; the last line may be empty."""
    start = 0
    for end, symbol in enumerate(symbols, 1):
        # A normalized text has no other line ends.
        if symbol.endswith("\n"):
            yield symbols[start:end]
            start = end
    yield symbols[start:]


def _mark(symbol: str, bits: float) -> str:
    level = COLOR_CLASSES[bisect_right(COLOR_BOUNDS, bits)]
    shown = escape(_visible(symbol))
    return f'<i class="{level}">{shown}</i>' if level else f"<i>{shown}</i>"


def _visible(text: str) -> str:
    """Replace line ends and control characters by visible symbols."""
    return text if text.isprintable() else text.translate(VISIBLE_SYMBOLS)
