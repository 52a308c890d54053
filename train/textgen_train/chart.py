"""Line charts as SVG, and the HTML of the pages that have them: reports and comparisons of runs.

The SVG is written by hand, so that a browser shows it in the style of the page, sharp at any size, and with a
tooltip for each point. A plotting library would be the largest dependency of training.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from string import Template

# A browser treats control characters and lone surrogates as errors.
VISIBLE: dict[int, int] = {code: 0x2400 + code for code in range(0x20) if chr(code) not in "\n\t"}
VISIBLE |= {0x7F: 0x2421, **dict.fromkeys((*range(0x80, 0xA0), *range(0xD800, 0xE000)), 0xFFFD)}

# In units of the SVG, which are about pixels.
WIDTH, HEIGHT = 640, 380
LEFT, RIGHT, TOP, BOTTOM = 44, 120, 12, 38
LABEL_DISTANCE = 13

# A curve with more points is thinned to about this number, and has dots only up to the second number.
MAX_POINTS, MAX_DOTS = 160, 50

# References farther away from the curves than this multiple of their range are not drawn.
MAX_REFERENCE_DISTANCE = 0.6

# The units of a time axis: each is for at least three of them.
TIME_UNITS = (("hours", 3600.0), ("minutes", 60.0), ("seconds", 1.0))


@dataclass(frozen=True)
class Curve:
    """A curve.

    Attributes:
        style: Its class in the style sheet.
        label: A text at its end.
        points: Seconds and values.
        tooltips: A text for each point.
    """

    style: str
    label: str
    points: Sequence[tuple[float, float]]
    tooltips: Sequence[str]


def html(text: object) -> str:
    """Return a text as HTML that shows it unchanged, in an element or in an attribute in double quotes."""
    return escape(str(text).translate(VISIBLE))


def draw(title: str, curves: Sequence[Curve], references: Sequence[tuple[str, float]] = ()) -> str:
    """Return a chart over time as a figure. References are labels and values of horizontal lines."""
    seconds = max((x for curve in curves for x, _ in curve.points), default=1.0) or 1.0
    unit, length = next(((unit, size) for unit, size in TIME_UNITS if seconds >= 3 * size), TIME_UNITS[-1])
    values = [y for curve in curves for _, y in curve.points]
    low, high = min(values, default=0.0), max(values, default=1.0)
    margin = MAX_REFERENCE_DISTANCE * max(high - low, 0.1)
    shown = [(label, value) for label, value in references if low - margin <= value <= high + margin]
    low, high = min([low, *(value for _, value in shown)]), max([high, *(value for _, value in shown)])
    space = 0.05 * (high - low) or 0.5
    low, high = low - space, high + space

    def x(value: float) -> float:
        return LEFT + value / seconds * (WIDTH - LEFT - RIGHT)

    def y(value: float) -> float:
        return HEIGHT - BOTTOM - (value - low) / (high - low) * (HEIGHT - BOTTOM - TOP)

    edge = WIDTH - RIGHT
    parts = [
        f'<line class="grid" x1="{LEFT}" x2="{edge}" y1="{y(tick):.1f}" y2="{y(tick):.1f}"/>'
        f'<text class="tick" x="{LEFT - 6}" y="{y(tick) + 4:.1f}" text-anchor="end">{tick:.4g}</text>'
        for tick in _ticks(low, high)
    ]
    parts += [
        f'<text class="tick" x="{x(tick * length):.1f}" y="{HEIGHT - BOTTOM + 15}" text-anchor="middle">'
        f"{tick:g}</text>"
        for tick in _ticks(0.0, seconds / length)
    ]
    parts += [
        f'<line class="reference" x1="{LEFT}" x2="{edge}" y1="{y(value):.1f}" y2="{y(value):.1f}"/>'
        for _, value in shown
    ]
    for curve in curves:
        stride = max(1, -(-len(curve.points) // MAX_POINTS))
        kept = sorted({*range(0, len(curve.points), stride), len(curve.points) - 1})
        places = [(x(curve.points[i][0]), y(curve.points[i][1])) for i in kept]
        line = " ".join(f"{left:.1f},{top:.1f}" for left, top in places)
        parts.append(f'<polyline class="{curve.style}" points="{line}"/>')
        parts += [
            f'<circle class="{curve.style}" cx="{left:.1f}" cy="{top:.1f}" r="2.5">'
            f"<title>{html(curve.tooltips[i])}</title></circle>"
            for i, (left, top) in zip(kept, places, strict=True)
            if len(kept) <= MAX_DOTS
        ]
    labels = [(label, value, "reference") for label, value in shown]
    labels += [(curve.label, curve.points[-1][1], curve.style) for curve in curves]
    for (label, value, style), place in zip(
        labels, _spread([y(value) for _, value, _ in labels]), strict=True
    ):
        parts.append(
            f'<path class="leader" d="M{edge + 1} {y(value):.1f}L{edge + 8} {place:.1f}"/>'
            f'<text class="label {style}" x="{edge + 11}" y="{place + 4:.1f}">{html(label)}</text>'
        )
    parts.append(
        f'<text class="tick" x="{(LEFT + edge) / 2:.0f}" y="{HEIGHT - 5}" text-anchor="middle">{unit}</text>'
    )
    return (
        f'<figure class="chart"><svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img">'
        f"<title>{html(title)}</title>{''.join(parts)}</svg></figure>"
    )


def _ticks(low: float, high: float) -> list[float]:
    """Return about six round numbers from ``low`` to ``high``."""
    wanted = (high - low) / 6
    power = 10.0 ** math.floor(math.log10(wanted))
    step = power * next(step for step in (1.0, 2.0, 5.0, 10.0) if step * power >= wanted * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [i * step for i in range(first, last + 1)]


def _spread(positions: Sequence[float]) -> list[float]:
    """Return positions that are far enough from each other for labels."""
    order = sorted(range(len(positions)), key=positions.__getitem__)
    placed, before, after = [0.0] * len(positions), -math.inf, float(HEIGHT - BOTTOM + LABEL_DISTANCE)
    for i in order:
        before = placed[i] = max(positions[i], before + LABEL_DISTANCE)
    for i in reversed(order):
        after = placed[i] = min(placed[i], after - LABEL_DISTANCE)
    return placed


def table(caption: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table. The cells are HTML; the first one of each row is its heading."""
    headings = "".join(f'<th scope="col">{html(name)}</th>' for name in head)
    body = "".join(
        f'<tr><th scope="row">{first}</th>{"".join(f"<td>{cell}</td>" for cell in cells)}</tr>\n'
        for first, *cells in rows
    )
    return (
        f'<div class="scroll"><table><caption>{html(caption)}</caption><thead><tr>{headings}</tr></thead>\n'
        f"<tbody>{body}</tbody></table></div>"
    )


def definitions(pairs: Iterable[tuple[str, object]]) -> str:
    """Return a list of names and values, which are plain text. Those without a value are left out."""
    shown = [(name, value) for name, value in pairs if value not in (None, "")]
    items = [f"<div><dt>{html(name)}</dt><dd>{html(value)}</dd></div>" for name, value in shown]
    return f"<dl>{''.join(items)}</dl>"


def section(name: str, content: str) -> str:
    """Return a section with a heading, plain text, and content, HTML; "" without content."""
    anchor = name.lower().replace(" ", "-")
    return f'<section id="{anchor}"><h2>{html(name)}</h2>\n{content}</section>' if content else ""


def page(title: str, status: str, sections: Sequence[str]) -> bytes:
    """Return a page that needs no other file. Title and status are plain text, and the sections HTML."""
    template = files(__package__).joinpath("page.html").read_text(encoding="utf-8")
    filled = Template(template).substitute(
        title=html(title), status=html(status), sections="\n".join(filter(None, sections))
    )
    return filled.encode(errors="replace")
