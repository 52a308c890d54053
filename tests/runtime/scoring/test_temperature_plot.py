"""The figure of a distribution at several temperatures."""

from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from textgen_runtime import Model, TemperatureComparison, compare_temperatures, plot_temperatures
from textgen_runtime.scoring.temperature_plot import (
    MAX_PANELS,
    PLOTTED_TEMPERATURES,
    is_temperature_plot,
    render,
)

MANY = tuple("\n abcdefghijklmnop$é\u0301")


def made_comparison(prompt: str = "a $x$\nb", unit: str = "character") -> TemperatureComparison:
    """A comparison with more symbols than bars."""
    original = np.arange(len(MANY), 0, -1) / np.arange(len(MANY) + 1).sum()
    sharper = original**5 / (original**5).sum()
    return TemperatureComparison(prompt, unit, MANY, (0.2, 1.0), np.stack([sharper, original]), original)


def test_each_temperature_has_a_panel_with_its_bars_and_figures(tiny: Model) -> None:
    comparison = compare_temperatures(tiny, "dad", PLOTTED_TEMPERATURES)
    figure = plot_temperatures(comparison)
    assert len(figure.axes) == len(PLOTTED_TEMPERATURES) == 6
    for number, panel in enumerate(figure.axes):
        assert panel.get_title("left") == f"temperature {PLOTTED_TEMPERATURES[number]}"
        bars = [patch for patch in panel.patches if isinstance(patch, Rectangle)]
        assert [bar.get_height() for bar in bars] == pytest.approx(comparison.probabilities[number])
        (text,) = panel.texts
        bits, choices = comparison.entropies[number], comparison.choices[number]
        assert text.get_text() == f"{bits:.2f} bits\n{choices:.1f} choices"
        assert panel.get_ylim() == figure.axes[0].get_ylim()
    assert figure.get_suptitle() == "Next character after \u201cdad\u201d"


def test_the_symbols_beyond_the_bars_share_one() -> None:
    comparison = made_comparison()
    panel = plot_temperatures(comparison).axes[1]
    labels = [label.get_text() for label in panel.get_xticklabels()]
    assert labels == ["\u21b5", "\u2423", *"abcdefghijklmn", "others"]
    *_, others = [patch for patch in panel.patches if isinstance(patch, Rectangle)]
    assert others.get_height() == pytest.approx(comparison.original[16:].sum())


def test_colors_go_from_cold_to_hot(tiny: Model) -> None:
    temperatures = (0.0, 1e-300, 0.5, 1.0, 1.5, 1e300)
    panels = plot_temperatures(compare_temperatures(tiny, "dad", temperatures)).axes
    colors = [to_hex(panel.patches[0].get_facecolor()) for panel in panels]
    assert colors[0] == colors[1]
    is_red = [int(color[1:3], 16) > int(color[5:7], 16) for color in colors]
    assert is_red == [False, False, False, False, True, True]
    assert len(set(colors)) == 5


@pytest.mark.parametrize("count", [1, 3, MAX_PANELS])
def test_any_number_of_temperatures_has_as_many_panels(tiny: Model, count: int) -> None:
    figure = plot_temperatures(compare_temperatures(tiny, "dad", [1.0] * count))
    assert len(figure.axes) == count
    with pytest.raises(ValueError, match="at most 24 temperatures, not 25"):
        plot_temperatures(compare_temperatures(tiny, "dad", [1.0] * (MAX_PANELS + 1)))


def test_a_long_prompt_is_shortened_and_shown_in_one_line() -> None:
    title = plot_temperatures(made_comparison("x" * 100 + "\n$y$ \x07")).get_suptitle()
    assert title.endswith("xxx\u21b5$y$ \\x07\u201d")
    assert len(title) < 65
    assert "token" in plot_temperatures(made_comparison(unit="token")).get_suptitle()


@pytest.mark.parametrize("suffix", [".png", ".svg", ".PDF"])
def test_the_file_is_recognized_and_always_the_same(tmp_path: Path, suffix: str) -> None:
    """Even if the font lacks a symbol, which makes matplotlib warn."""
    path = tmp_path / f"own{suffix}"
    path.write_bytes(render(plot_temperatures(made_comparison("\u4e2d$x")), suffix))
    assert is_temperature_plot(path)
    assert path.read_bytes() == render(plot_temperatures(made_comparison("\u4e2d$x")), suffix)
    if suffix == ".svg":
        assert ET.parse(path).getroot().tag.endswith("svg")  # noqa: S314 (a file of this test)


def test_dollar_signs_do_not_enclose_a_formula() -> None:
    comparison = made_comparison("$\\frac$")
    symbols = ("$\\frac$", *comparison.symbols[1:])
    assert render(plot_temperatures(replace(comparison, symbols=symbols)), ".svg")


def test_other_files_are_not_recognized(tmp_path: Path) -> None:
    other = tmp_path / "other.png"
    Figure().savefig(other)
    assert not is_temperature_plot(other)
    text = tmp_path / "text.svg"
    text.write_text("textgen-run --plot", encoding="utf-8")
    assert not is_temperature_plot(text)
    assert not is_temperature_plot(tmp_path / "missing.png")
