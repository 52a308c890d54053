"""What several test modules need."""

from pathlib import Path

import onnx
import pytest
import textgen_runtime as textgen

TINY = Path(__file__).parent / "data" / "tiny.onnx"


@pytest.fixture
def tiny_path() -> Path:
    """A model file with random weights, made by ``make_tiny_model``."""
    return TINY


@pytest.fixture(scope="session")
def tiny() -> textgen.Model:
    """The same, loaded."""
    return textgen.load(TINY)


@pytest.fixture
def tiny_proto() -> onnx.ModelProto:
    """The same as a protobuf message, for a test to damage."""
    return onnx.load(TINY)
