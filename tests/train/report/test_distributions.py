"""The report's figure of the next character's distribution."""

import re

import pytest
import textgen_runtime as textgen
from textgen_runtime.scoring.temperatures import compare_temperatures
from textgen_train.report.sections import draw_distributions

from tests.helpers.paths import TINY


def test_a_share_that_would_be_rounded_to_zero_is_not_shown_as_zero() -> None:
    comparison = compare_temperatures(textgen.load(TINY), "abc", (0.05, 1.0))
    assert any(0 < share < 0.0005 for share in comparison.probabilities[0])
    shown = re.findall(r">([^<>]*%)</text>", draw_distributions(comparison))
    assert "&lt;0.1%" in shown
    assert "0.0%" not in shown


def test_the_shares_of_a_figure_make_a_whole() -> None:
    figures = draw_distributions(compare_temperatures(textgen.load(TINY), "abc", (0.05, 1.0, 2.0)))
    descriptions = re.findall("<desc [^>]*>(.*?)</desc>", figures)
    assert len(descriptions) == 3
    for description in descriptions:
        assert "others " in description
        assert sum(map(float, re.findall(r" ([\d.]+)%", description))) == pytest.approx(100, abs=0.8)
