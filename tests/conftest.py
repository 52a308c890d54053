"""What several test modules need."""

import os
from pathlib import Path

# Before torch is imported, here or in a process that a test starts: on networks this small a second thread
# gains nothing, and on a busy machine torch's threads wait for each other without end.
os.environ["OMP_NUM_THREADS"] = "1"

import onnx
import pytest
import textgen_runtime as textgen

TINY = Path(__file__).parent / "data" / "tiny.onnx"


@pytest.fixture
def tiny_path() -> Path:
    """A model file with random weights, made by ``make_tiny_model``."""
    return TINY


@pytest.fixture(scope="session", params=["native", "onnxruntime"])
def tiny(request: pytest.FixtureRequest) -> textgen.Model:
    """The same, loaded, with each of the engines in turn."""
    return textgen.load(TINY, engine=request.param)


@pytest.fixture
def tiny_proto() -> onnx.ModelProto:
    """The same as a protobuf message, for a test to damage."""
    return onnx.load(TINY)
