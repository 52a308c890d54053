"""Charts: their points, their ranges, their ticks and their labels."""

import re
import xml.etree.ElementTree as ET

import pytest
from textgen_train.loop.events import EvaluationHistory
from textgen_train.report.chart import (
    BOTTOM,
    LEFT,
    MAX_POINTS,
    NARROW,
    RIGHT,
    TOP,
    WIDE,
    Chart,
    Curve,
    draw,
    format_count,
    format_duration,
    format_small,
    spread,
    thin,
    ticks,
    time_unit,
    value_range,
)
from textgen_train.report.losses import Reference, loss_charts, loss_picture

from tests.helpers.report_pages import Page, evaluation

EVALUATIONS = [evaluation(100, 2.5, 10), evaluation(200, 1.5, 30), evaluation(400, 1.25, 40)]


def points(page: Page, style: str) -> list[list[tuple[float, float]]]:
    """Return the points of all curves of a style."""
    return [
        [(float(x), float(y)) for x, y in (pair.split(",") for pair in line["points"].split())]
        for line in page.find("polyline", style)
    ]


@pytest.mark.parametrize(("style", "offset"), [("held-out", 0.0), ("training", -0.1), ("running", 0.2)])
def test_the_curves_of_a_loss_have_its_values(style: str, offset: float) -> None:
    """Positions are linear in the values; the grid gives the scale of the losses."""
    content = loss_charts(EVALUATIONS, [Reference("7-gram", 1.4), Reference("gzip", 2.0)])
    page = Page(content)
    labels = re.findall(r'class="tick" x="34" y="([\d.]+)" text-anchor="end">([\d.]+)</text>', content)
    curves = points(page, style)
    assert len(curves) == 4
    for number, curve in enumerate(curves):
        width = (NARROW, WIDE)[number % 2][0]
        positions = [evaluation.step if number < 2 else evaluation.seconds for evaluation in EVALUATIONS]
        right = width - RIGHT
        expected = [LEFT + position / positions[-1] * (right - LEFT) for position in positions]
        assert [x for x, _ in curve] == pytest.approx(expected, abs=0.06)
    # The first chart: two ticks define the scale.
    (low_y, low), (high_y, high) = labels[0], labels[1]
    slope = (float(high_y) - float(low_y)) / (float(high) - float(low))
    values = [(y + 4 - float(low_y)) / slope + float(low) for _, y in curves[0]]
    assert values == pytest.approx(
        [evaluation.held_out_nats + offset for evaluation in EVALUATIONS], abs=0.01
    )


def test_references_are_horizontal_lines_at_their_values() -> None:
    reference = Reference("7-gram", 1.5)
    content = loss_charts(EVALUATIONS, [reference])
    page = Page(content)
    lines = page.find("line", "reference")
    assert len(lines) == 4
    for line, curve in zip(lines, points(page, "held-out"), strict=True):
        # The second evaluation has the same loss.
        assert line["y1"] == line["y2"] == str(curve[1][1])
    assert content.count("7-gram 1.500") == 4


def test_the_picture_is_an_svg_file_with_the_curves_over_time_and_their_styles() -> None:
    """It is well-formed whatever the name of the corpus is, and its curves are those of the report.

    The best model may be from an interrupt, whose evaluation a resumed run does not have.
    """
    history = EvaluationHistory(EVALUATIONS, [""] * len(EVALUATIONS), evaluation(250, 1.2))
    picture = ET.fromstring(loss_picture("R&D <draft> \udcff.txt", history))  # noqa: S314 (own file)
    texts = [element.text or "" for element in picture.iter("{http://www.w3.org/2000/svg}text")]
    assert texts[0] == "R&D <draft> \ufffd.txt: loss in nats per character"
    assert {"best 1.200", "held out 1.250", "with dropout", "seconds"} < set(texts)
    curves = [line.get("points") for line in picture.iter("{http://www.w3.org/2000/svg}polyline")]
    page = Page(loss_charts(EVALUATIONS, [Reference("best", 1.2)]))
    # The last of the four charts is that over time, in the same size.
    assert [line["points"] for line in page.find("polyline")][-4:] == curves
    assert "prefers-color-scheme: dark" in str(picture[0].text)


def test_points_have_tooltips_with_their_figures() -> None:
    assert "held-out loss 1.5000 nats, update 200, epoch 2.0, 30 s" in loss_charts(EVALUATIONS, [])


def test_far_references_do_not_flatten_the_curves() -> None:
    curve = Curve("held-out", [(1.0, 2.0), (2.0, 1.0)])
    chart = Chart("", "", "", [curve], references=[("near", 2.3), ("far", 9.0), ("far below", 0.01)])
    low, high = value_range(chart)
    assert 0.9 < low < 1.0
    assert 2.3 < high < 2.5
    assert "far" not in draw(chart, 300, 300)


@pytest.mark.parametrize("values", [[1.5], [1.5, 1.5], [0.0, 0.0]])
def test_equal_losses_can_be_drawn(values: list[float]) -> None:
    chart = Chart("", "", "", [Curve("held-out", [(float(i), value) for i, value in enumerate(values)])])
    low, high = value_range(chart)
    assert low < min(values) <= max(values) < high
    Page(draw(chart, 300, 300))


def test_a_long_curve_is_thinned_and_keeps_its_ends() -> None:
    curve = [(float(i), 0.0) for i in range(10 * MAX_POINTS + 1)]
    kept = thin(curve)
    assert len(kept) <= MAX_POINTS + 1
    assert (kept[0], kept[-1]) == (0, len(curve) - 1)
    assert thin(curve[:5]) == [0, 1, 2, 3, 4]
    assert thin([]) == []


def test_marks_stay_inside_the_chart() -> None:
    labels = [(f"label {i}", 1.0 + i / 1000, "run") for i in range(12)]
    page = Page(draw(Chart("", "", "", [Curve("run", [(0.0, 1.0), (1.0, 1.1)])], marks=labels), 300, 320))
    tops = [float(text["y"]) - 4 for text in page.find("text", "label run")]
    assert len(tops) == 12
    assert min(tops) >= TOP
    assert max(tops) <= 320 - BOTTOM
    gaps = [above - below for below, above in zip(sorted(tops), sorted(tops)[1:], strict=False)]
    assert min(gaps) >= 12.8


def test_positions_are_spread_as_little_as_necessary() -> None:
    assert spread([10.0, 50.0], 12, 0, 100) == [10.0, 50.0]
    assert spread([50.0, 10.0], 12, 0, 100) == [50.0, 10.0]
    assert spread([95.0, 96.0, 97.0], 10, 0, 100) == [80.0, 90.0, 100.0]
    # If there is too little space, the distance is smaller.
    assert spread([1.0] * 5, 50, 0, 100) == [0.0, 25.0, 50.0, 75.0, 100.0]
    assert spread([], 10, 0, 100) == []


def test_ticks_are_round_numbers() -> None:
    assert ticks(0, 100, 5) == [0, 20, 40, 60, 80, 100]
    assert ticks(1.23, 1.71, 4) == pytest.approx([1.4, 1.6])
    assert ticks(0, 7, 3) == [0, 5]
    assert [format_count(value) for value in (0, 500, 20_000, 1_500_000)] == ["0", "500", "20k", "1.5M"]
    assert [format_small(value) for value in (0.012, 5.91e-9, 2.0, 2.49e-10, 9.96e-10, 0.0)] == [
        "0.012",
        "5.9e-9",
        "2",
        "2e-10",
        "1e-9",
        "0",
    ]


@pytest.mark.parametrize(("seconds", "unit"), [(100, "seconds"), (600, "minutes"), (20_000, "hours")])
def test_a_time_axis_has_a_suitable_unit(seconds: float, unit: str) -> None:
    assert time_unit(seconds)[0] == unit


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (59.6, "1:00"), (125, "2:05"), (3725, "1:02:05")]
)
def test_durations_are_written_as_on_a_clock(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text
