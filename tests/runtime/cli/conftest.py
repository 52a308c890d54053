"""Fixtures of the tests of commands."""

from pathlib import Path

import pytest


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home folder of the user, which an environment variable names."""
    monkeypatch.setenv("HOME", str(tmp_path))
    # The variable of Windows.
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    return tmp_path
