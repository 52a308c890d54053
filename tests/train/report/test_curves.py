"""The loss curves as a picture."""

import pytest
from textgen_train.report.curves import draw_curves

from tests.helpers.report_pages import evaluation


@pytest.mark.parametrize("name", ["cash$_$.txt", "\u7ea2\u697c\u68a6.txt"])
def test_a_corpus_of_any_name_has_curves(name: str) -> None:
    """A dollar sign does not begin a formula, and characters that the font lacks give no warning."""
    assert draw_curves(name, [evaluation(10, 2.5), evaluation(20, 1.5)]).startswith(b"\x89PNG")
