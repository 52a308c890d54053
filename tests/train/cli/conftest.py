"""Fixtures of the tests of the commands."""

import pytest
from textgen_train.report import files


@pytest.fixture(autouse=True)
def _without_curves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not draw curves, which takes longer than the rest of a quick run. Other processes draw them."""
    monkeypatch.setattr(files, "draw_curves", lambda *_: b"PNG")
