"""The figure of a distribution at several temperatures, one panel for each."""

import io
import math
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textgen_runtime.tokenizer import symbol_name

from .temperatures import TemperatureComparison

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# From near 0, as in section 8.1 of the textbook, to beyond 1.
PLOTTED_TEMPERATURES = (0.01, 0.2, 0.5, 1.0, 1.2, 2.0)

# Symbols with a bar of their own. The remaining symbols share one bar.
MAX_BARS = 16

ONE_ROW, MAX_COLUMNS = 3, 4
PANEL_INCHES = (3.3, 2.1)
MAX_PANELS = 24
# Characters of the prompt in the title, per column.
PROMPT_PER_COLUMN = 18

# Stored in the file, to recognize figures that may be overwritten.
SOFTWARE = "textgen-run --plot"
SIGNATURES = (b"\x89PNG\r\n\x1a\n", b"<?xml", b"%PDF")
MAX_FILE_BYTES = 2**22

# Cold, neutral and hot colors, by the logarithm of the temperature to the base 2.
COLORS = ((-3.0, "#1d4f91"), (-1.0, "#3f8fc6"), (0.0, "#6b7280"), (0.3, "#d9822b"), (1.0, "#b3261e"))
OUTLINE, OUTLINE_LABEL = "#111827", "distribution of the model (temperature 1)"

SHORT_NAMES = {" ": "\u2423", "\n": "\u21b5", "\t": "\u21e5"}


def plot_temperatures(comparison: TemperatureComparison) -> "Figure":
    """Draw the distribution at each temperature, as in section 8.1 of the textbook.

    Each temperature has a panel. It has a bar for each of the 16 most likely symbols, and one for all others.
    All panels have the same scale. A line shows the distribution of the model for comparison.

    Args:
        comparison: The result of ``compare_temperatures``.

    Returns:
        A matplotlib figure. ``figure.savefig(path)`` saves it.

    Raises:
        ImportError: If matplotlib is not installed.
        ValueError: If there are more than 24 temperatures.
    """
    # Importing matplotlib takes a second. pyplot is not used, because it keeps global state.
    from matplotlib.figure import Figure

    count = len(comparison.temperatures)
    if count > MAX_PANELS:
        raise ValueError(f"a figure has at most {MAX_PANELS} temperatures, not {count}")
    columns = count if count <= ONE_ROW else min(MAX_COLUMNS, math.ceil(math.sqrt(count)))
    rows = math.ceil(count / columns)
    size = (PANEL_INCHES[0] * columns, PANEL_INCHES[1] * rows + 0.7)
    figure = Figure(figsize=size, dpi=200, layout="constrained")
    prompt = _one_line(comparison.prompt, PROMPT_PER_COLUMN * columns)
    # Dollar signs of a prompt do not enclose a formula.
    title = f"Next {comparison.unit} after \u201c{prompt}\u201d" if prompt else f"First {comparison.unit}"
    figure.suptitle(title, fontsize=11, parse_math=False)
    panels = figure.subplots(rows, columns, sharey=True, squeeze=False).ravel()
    for number, panel in enumerate(panels):
        if number < count:
            _draw_panel(panel, comparison, number)
        else:
            panel.remove()
    for panel in panels[::columns]:
        panel.set_ylabel("probability", fontsize=8)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", frameon=False, fontsize=8)
    return figure


def _draw_panel(panel: Any, comparison: TemperatureComparison, number: int) -> None:
    from matplotlib.ticker import PercentFormatter

    temperature, symbols = comparison.temperatures[number], comparison.symbols
    shown = min(len(symbols), MAX_BARS)
    color = _color(temperature)
    row = comparison.probabilities[number]
    panel.bar(range(shown), row[:shown], width=0.85, color=color)
    edges = [i - 0.5 for i in range(shown + 1)]
    panel.stairs(comparison.original[:shown], edges, color=OUTLINE, linewidth=0.8, label=OUTLINE_LABEL)
    ticks, names = [float(i) for i in range(shown)], [_tick(symbol) for symbol in symbols[:shown]]
    if shown < len(symbols):
        # The gap separates the bar of many symbols from those of one symbol.
        place = shown + 1.3
        panel.bar(place, row[shown:].sum(), width=1.5, color=color, alpha=0.55)
        panel.stairs(
            [comparison.original[shown:].sum()], [place - 0.9, place + 0.9], color=OUTLINE, linewidth=0.8
        )
        ticks, names = [*ticks, place], [*names, "others"]
    panel.set_xticks(ticks, names, fontsize=8, parse_math=False)
    panel.tick_params(axis="x", length=0)
    panel.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    panel.tick_params(axis="y", labelsize=8)
    panel.grid(axis="y", alpha=0.25, linewidth=0.6)
    panel.set_axisbelow(True)
    panel.spines[["top", "right"]].set_visible(False)
    panel.set_title(f"temperature {temperature}", loc="left", fontsize=10, color=color, fontweight="bold")
    figures = f"{comparison.entropies[number]:.2f} bits\n{comparison.choices[number]:.1f} choices"
    panel.text(1.0, 0.97, figures, transform=panel.transAxes, ha="right", va="top", fontsize=8)


def _color(temperature: float) -> str:
    from matplotlib.colors import LinearSegmentedColormap, to_hex

    (low, _), *_, (high, _) = COLORS
    colors = [((place - low) / (high - low), color) for place, color in COLORS]
    place = math.log2(temperature) if temperature else low
    return to_hex(LinearSegmentedColormap.from_list("", colors)((place - low) / (high - low)))


def _tick(symbol: str) -> str:
    return SHORT_NAMES.get(symbol) or symbol_name(symbol)


def _one_line(prompt: str, length: int) -> str:
    """Return the end of a prompt, without line ends and control characters."""
    text = "".join(
        character if character == " " or character.isprintable() else _tick(character) for character in prompt
    )
    return text if len(text) <= length else f"\u2026{text[-length:]}"


def render(figure: "Figure", suffix: str) -> bytes:
    """Return a figure as a file.

    Args:
        figure: The figure.
        suffix: ``.png``, ``.svg`` or ``.pdf``, in any case.
    """
    from matplotlib import rc_context

    name = suffix.lower().removeprefix(".")
    # Without the date and random identifiers, the same figure gives the same file.
    metadata: dict[str, dict[str, str | None]] = {
        "png": {"Software": SOFTWARE},
        "svg": {"Creator": SOFTWARE, "Date": None},
        "pdf": {"Creator": SOFTWARE, "CreationDate": None},
    }
    content = io.BytesIO()
    with warnings.catch_warnings(), rc_context({"svg.hashsalt": SOFTWARE}):
        # The font may lack some symbols.
        warnings.filterwarnings("ignore", "Glyph .* missing", UserWarning)
        figure.savefig(content, format=name, metadata=metadata[name])
    return content.getvalue()


def is_temperature_plot(path: Path) -> bool:
    """Return whether a file is a figure that ``render`` has written; False if it cannot be read."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES)
    except OSError:
        return False
    return content.startswith(SIGNATURES) and SOFTWARE.encode() in content
