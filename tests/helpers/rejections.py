"""Assertions about model files that are rejected."""

from pathlib import Path

import pytest
import textgen_runtime as textgen
from textgen_runtime.engines.opening import EngineName


def assert_rejected(path: Path, message: str, engine: EngineName = "auto") -> None:
    """Assert that loading raises a one-line error that names the file and matches ``message``."""
    with pytest.raises(textgen.ModelFileError, match=message) as caught:
        textgen.load(path, engine=engine)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
