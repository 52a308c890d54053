"""Line charts as SVG, for the pages and for the picture of the loss curves.

The SVG is written by hand. A browser shows the picture like the report: in a dark style if the user prefers
it, with a tooltip for each evaluation, and sharp at any size. A plotting library would draw the same curves
in a second style, take a second to import, and be the largest dependency of training after torch and onnx.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from textgen_runtime.errors import shorten

from .html import STYLE, html

MINUTE, HOUR = 60.0, 3600.0
# The smallest number of units on an axis.
MIN_TICKS = 3
# Below this number, the exponent has two digits.
MIN_OF_TWO_DIGITS = 1e-9
# Steps between ticks that are easy to read, as multiples of a power of ten.
STEPS = (1.0, 2.0, 5.0, 10.0)


@dataclass(frozen=True)
class Scale:
    """A linear map from values to positions.

    Attributes:
        low: The value at the position ``start``.
        high: The value at the position ``end``; not ``low``.
    """

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Return the position of a value."""
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)


def ticks(low: float, high: float, count: int) -> list[float]:
    """Return about ``count`` round numbers from ``low`` to ``high``."""
    wanted = (high - low) / max(count, 1)
    power = 10.0 ** math.floor(math.log10(wanted))
    step = power * next(step for step in STEPS if step * power >= wanted * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [i * step for i in range(first, last + 1)]


def format_count(value: float) -> str:
    """Format a tick of a count, such as 500, 20k or 1.5M."""
    for unit, name in ((1e6, "M"), (1e3, "k")):
        if value >= unit:
            return f"{value / unit:g}{name}"
    return f"{value:g}"


def format_small(value: float) -> str:
    """Format a number below 10 in at most six characters, such as 0.012, 5.9e-9 or 2e-10."""
    text = f"{value:.2g}" if value >= MIN_OF_TWO_DIGITS or not value else f"{value:.0e}"
    return text.replace("e-0", "e-")


def time_unit(seconds: float) -> tuple[str, float]:
    """Return the unit of an axis up to this time: its name, and its length in seconds."""
    if seconds >= MIN_TICKS * HOUR:
        return "hours", HOUR
    return ("minutes", MINUTE) if seconds >= MIN_TICKS * MINUTE else ("seconds", 1.0)


def spread(positions: Sequence[float], distance: float, low: float, high: float) -> list[float]:
    """Return positions with at least this distance, as near as simple shifts allow, from low to high.

    Args:
        distance: The minimum distance of two positions. It is reduced if they do not fit.
    """
    if not positions:
        return []
    order = sorted(range(len(positions)), key=positions.__getitem__)
    distance = min(distance, (high - low) / max(len(positions) - 1, 1))
    placed = [0.0] * len(positions)
    # Downward with the minimum distance, then back up from the end.
    before = low - distance
    for i in order:
        before = placed[i] = max(positions[i], before + distance)
    after = high + distance
    for i in reversed(order):
        after = placed[i] = min(placed[i], after - distance)
    return placed


def format_duration(seconds: float) -> str:
    """Format a duration as 45 s, 2:05 or 1:02:05."""
    minutes, remaining_seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}:{minutes:02}:{remaining_seconds:02}"
    return f"{minutes}:{remaining_seconds:02}" if minutes else f"{remaining_seconds} s"


Points = Sequence[tuple[float, float]]

# Sizes in units of the SVG, which are about pixels.
NARROW, WIDE = (310, 320), (560, 380)
LEFT, RIGHT, TOP, BOTTOM = 40, 106, 12, 38
LABEL_DISTANCE = 13
PANEL_GAP, PANEL_HEIGHT = 20, 46
# Distances of ticks.
TICK_WIDTH, TICK_HEIGHT = 50, 44
# A curve with more points is thinned to about this number, and has dots only up to the second number.
MAX_POINTS, MAX_DOTS = 160, 50
# References farther away from the curves than this multiple of their range are not drawn.
MAX_REFERENCE_DISTANCE = 0.6

# The heading of a picture, in units of the SVG.
PICTURE_HEADING, PICTURE_MARGIN, MAX_TITLE = 34, 14, 72


@dataclass(frozen=True)
class Curve:
    """A curve.

    Attributes:
        style: Its class in the style sheet.
        tooltips: A text for each point. A few points with tooltips are drawn as dots.
    """

    style: str
    points: Points
    tooltips: Sequence[str] = ()


@dataclass(frozen=True)
class Chart:
    """A chart of curves, with horizontal lines for comparison.

    Attributes:
        title: The accessible name.
        description: What the chart shows, in a sentence, for people who do not see it.
        x_label: Name and unit of the horizontal axis.
        references: Labels and values of horizontal lines.
        marks: Labels and values at the right edge, without a line.
        panel: A curve that is drawn below in a small panel with its own scale; None for no panel.
    """

    title: str
    description: str
    x_label: str
    curves: Sequence[Curve]
    references: Sequence[tuple[str, float]] = ()
    marks: Sequence[tuple[str, float, str]] = ()
    panel: Curve | None = None
    panel_label: str = ""
    # Unique within the page.
    name: str = field(default="chart")


def figure(chart: Chart) -> str:
    """Return a figure with a chart in two sizes, of which the style sheet shows one.

    The labels are then readable on a phone and on a wide screen.
    """
    narrow, wide = (draw(chart, *size) for size in (NARROW, WIDE))
    return f'<figure class="chart"><div class="narrow">{narrow}</div><div class="wide">{wide}</div></figure>'


def picture(chart: Chart) -> str:
    """Return a chart as an SVG file of its own, below its title."""
    width, height = WIDE
    outer, bottom = width + 2 * PICTURE_MARGIN, height + PICTURE_HEADING + PICTURE_MARGIN
    style = f"{STYLE}  .card {{ fill: var(--card); }} .title {{ fill: var(--ink); font-size: 14px; }}\n"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {outer} {bottom}" width="{outer * 1.5:g}" '
        f'height="{bottom * 1.5:g}"><style>{style}</style><rect class="card" width="100%" height="100%"/>'
        f'<text class="title" x="{outer / 2}" y="22" text-anchor="middle">'
        f"{html(shorten(chart.title, MAX_TITLE))}</text>"
        f'<svg x="{PICTURE_MARGIN}" y="{PICTURE_HEADING}" width="{width}" height="{height}">'
        f"{draw(chart, width, height)}</svg></svg>\n"
    )


def draw(chart: Chart, width: int, height: int) -> str:
    """Return a chart as an SVG element of this size, in units that are about pixels."""
    panel_height = PANEL_HEIGHT + PANEL_GAP if chart.panel else 0
    bottom = height - BOTTOM - panel_height
    x_max = max((x for curve in chart.curves for x, _ in curve.points), default=1.0) or 1.0
    x = Scale(0.0, x_max, LEFT, width - RIGHT)
    low, high = value_range(chart)
    y = Scale(low, high, bottom, TOP)
    shown = [(label, value) for label, value in chart.references if low <= value <= high]
    parts = [
        _horizontal_grid(y, width, ticks(low, high, max(2, round((bottom - TOP) / TICK_HEIGHT)))),
        *(_reference(value, y, width) for _, value in shown),
        *(_curve(curve, x, y) for curve in chart.curves),
        _labels([*((label, value, "reference") for label, value in shown), *chart.marks], y, width, bottom),
    ]
    if chart.panel:
        parts.append(_panel(chart.panel, chart.panel_label, x, bottom + PANEL_GAP, height - BOTTOM))
    parts += [
        f'<text class="tick" x="{x(tick):.1f}" y="{height - BOTTOM + 15}" text-anchor="middle">'
        f"{format_count(tick)}</text>"
        for tick in ticks(0.0, x_max, max(2, (width - LEFT - RIGHT) // TICK_WIDTH))
    ]
    parts.append(
        f'<text class="axis" x="{(LEFT + width - RIGHT) / 2:.0f}" y="{height - 5}" text-anchor="middle">'
        f"{html(chart.x_label)}</text>"
    )
    name = f"{chart.name}-{width}"
    return (
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-labelledby="{name}-title {name}-text">'
        f'<title id="{name}-title">{html(chart.title)}</title>'
        f'<desc id="{name}-text">{html(chart.description)}</desc>{"".join(parts)}</svg>'
    )


def value_range(chart: Chart) -> tuple[float, float]:
    """Return the range of the vertical axis: that of the curves, extended to the references near them."""
    values = [value for curve in chart.curves for _, value in curve.points]
    low, high = min(values, default=0.0), max(values, default=1.0)
    margin = MAX_REFERENCE_DISTANCE * max(high - low, 0.1 * abs(high), 0.1)
    near = [value for _, value in chart.references if low - margin <= value <= high + margin]
    low, high = min([low, *near]), max([high, *near])
    space = 0.05 * (high - low) or 0.5
    return low - space, high + space


def thin(items: Sequence[tuple[float, float]]) -> list[int]:
    """Return the indexes of at most about ``MAX_POINTS`` points, with the first and the last one."""
    stride = max(1, -(-len(items) // MAX_POINTS))
    return sorted({*range(0, len(items), stride), len(items) - 1} if items else set())


def _horizontal_grid(y: Scale, width: int, values: Sequence[float]) -> str:
    return "".join(
        f'<line class="grid" x1="{LEFT}" x2="{width - RIGHT}" y1="{y(value):.1f}" y2="{y(value):.1f}"/>'
        f'<text class="tick" x="{LEFT - 6}" y="{y(value) + 4:.1f}" text-anchor="end">{value:.4g}</text>'
        for value in values
    )


def _reference(value: float, y: Scale, width: int) -> str:
    return (
        f'<line class="reference" x1="{LEFT}" x2="{width - RIGHT}" y1="{y(value):.1f}" y2="{y(value):.1f}"/>'
    )


def _curve(curve: Curve, x: Scale, y: Scale) -> str:
    kept = thin(curve.points)
    places = [(x(curve.points[i][0]), y(curve.points[i][1])) for i in kept]
    line = " ".join(f"{left:.1f},{top:.1f}" for left, top in places)
    dots = "".join(
        f'<circle class="{curve.style}" cx="{left:.1f}" cy="{top:.1f}" r="2.5">'
        f"<title>{html(curve.tooltips[i])}</title></circle>"
        for i, (left, top) in zip(kept, places, strict=True)
        if curve.tooltips and len(kept) <= MAX_DOTS
    )
    return f'<polyline class="{curve.style}" points="{line}"/>{dots}'


def _labels(labels: Sequence[tuple[str, float, str]], y: Scale, width: int, bottom: float) -> str:
    """Return labels at the right edge. They do not overlap; short lines connect them to their values."""
    wanted = [y(value) for _, value, _ in labels]
    edge = width - RIGHT
    return "".join(
        f'<path class="leader" d="M{edge + 1} {from_:.1f}L{edge + 8} {to:.1f}"/>'
        f'<text class="label {style}" x="{edge + 11}" y="{to + 4:.1f}">{html(label)}</text>'
        for (label, _, style), from_, to in zip(
            labels, wanted, spread(wanted, LABEL_DISTANCE, TOP, bottom), strict=True
        )
    )


def _panel(curve: Curve, label: str, x: Scale, top: float, bottom: float) -> str:
    high = max((value for _, value in curve.points), default=0.0) or 1.0
    y = Scale(0.0, high, bottom, top)
    left = x.end + 11
    first, _, second = label.partition(" ")
    return (
        f'<line class="grid" x1="{LEFT}" x2="{x.end}" y1="{bottom}" y2="{bottom}"/>'
        f'<line class="grid" x1="{LEFT}" x2="{x.end}" y1="{top}" y2="{top}"/>'
        f'<text class="tick" x="{LEFT - 6}" y="{bottom + 4}" text-anchor="end">0</text>'
        f'<text class="tick" x="{LEFT - 6}" y="{top + 4}" text-anchor="end">{format_small(high)}</text>'
        f'<text class="label {curve.style}" x="{left}" y="{(top + bottom) / 2 - 2:.1f}">{html(first)}'
        f'<tspan x="{left}" dy="13">{html(second)}</tspan></text>{_curve(curve, x, y)}'
    )
