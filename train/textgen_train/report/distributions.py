"""The figure of the next character's distribution at several temperatures, as SVG."""

from textgen_runtime.scoring.temperatures import TemperatureComparison
from textgen_runtime.text.symbols import symbol_name

from .html_text import html

# Symbols with a bar of their own. The remaining symbols share one bar.
MAX_BARS = 9
WIDTH, ROW, TOP = 240, 17, 24
# The bars begin at the right of the names and end before the percentages.
BAR_LEFT, BAR_RIGHT = 66, 196
MAX_NAME = 9
MIN_MARKED = 0.005
# Smaller shares would be rounded to 0.0%.
MIN_PERCENTAGE = 0.0005


def draw_distributions(comparison: TemperatureComparison) -> str:
    """Return one SVG element for each temperature, with a bar for each of the most likely symbols.

    A mark on each bar shows the probability at temperature 1. All bars have the same scale.
    """
    return "".join(_draw(comparison, number) for number in range(len(comparison.temperatures)))


def _draw(comparison: TemperatureComparison, number: int) -> str:
    temperature, row = comparison.temperatures[number], comparison.probabilities[number]
    bits = comparison.entropies[number]
    shown = min(len(comparison.symbols), MAX_BARS)
    names = [_short(symbol_name(symbol)) for symbol in comparison.symbols[:shown]]
    values = [*map(float, row[:shown])]
    originals = [*map(float, comparison.original[:shown])]
    if shown < len(comparison.symbols):
        names.append("others")
        values.append(float(row[shown:].sum()))
        originals.append(float(comparison.original[shown:].sum()))
    bars = "".join(map(_bar, range(len(names)), names, values, originals))
    title = f"Distribution of the next {comparison.unit} at temperature {temperature:g}"
    text = ", ".join(f"{name} {_percent(value)}" for name, value in zip(names, values, strict=True))
    return (
        f'<svg class="temperature t{number}" viewBox="0 0 {WIDTH} {TOP + ROW * (MAX_BARS + 1)}" role="img" '
        f'aria-labelledby="temperature-{number}-title temperature-{number}-text">'
        f'<title id="temperature-{number}-title">{html(title)}</title>'
        f'<desc id="temperature-{number}-text">{html(text)}</desc>'
        f'<text class="heading" x="0" y="14">temperature {temperature:g}</text>'
        f'<text class="tick" x="{WIDTH}" y="14" text-anchor="end">{bits:.2f} bits</text>'
        f"{bars}</svg>"
    )


def _bar(place: int, name: str, value: float, original: float) -> str:
    top, length = TOP + ROW * place, BAR_RIGHT - BAR_LEFT
    # Marks of tiny probabilities would look like an axis.
    place_of_mark = f"M{BAR_LEFT + original * length:.1f} {top - 1}v{ROW - 2}"
    mark = f'<path class="mark" d="{place_of_mark}"/>' if original >= MIN_MARKED else ""
    return (
        f'<text class="symbol" x="{BAR_LEFT - 6}" y="{top + 11}" text-anchor="end">{html(name)}</text>'
        f'<rect x="{BAR_LEFT}" y="{top}" width="{value * length:.1f}" height="{ROW - 4}"/>'
        f'{mark}<text class="tick" x="{WIDTH}" y="{top + 11}" text-anchor="end">'
        f"{html(_percent(value))}</text>"
    )


def _percent(value: float) -> str:
    return "<0.1%" if 0.0 < value < MIN_PERCENTAGE else f"{value:.1%}"


def _short(name: str) -> str:
    return name if len(name) <= MAX_NAME else f"{name[: MAX_NAME - 1]}\u2026"
