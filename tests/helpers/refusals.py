"""Checks that a model file is refused in one line."""

from pathlib import Path

import pytest
import textgen_runtime as textgen
from textgen_runtime.engines.opening import EngineName


def refused(path: Path, message: str, engine: EngineName = "auto") -> None:
    """Loading fails with one line that names the file and says what is wrong."""
    with pytest.raises(textgen.ModelFileError, match=message) as caught:
        textgen.load(path, engine=engine)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
