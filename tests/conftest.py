"""What several test modules need."""

import os
import subprocess
import sys
from pathlib import Path

# Before torch is imported, here or in a process that a test starts: on networks this small a second thread
# gains nothing, and on a busy machine torch's threads wait for each other without end.
os.environ["OMP_NUM_THREADS"] = "1"

import onnx
import pytest
import textgen_runtime as textgen

TINY = Path(__file__).parent / "data" / "tiny.onnx"
ROOT = Path(__file__).parent.parent


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


@pytest.fixture(scope="session")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist and the wheel that was built from it, by the build tools that are here."""
    folder = tmp_path_factory.mktemp("dist")
    # setuptools adds every file that an earlier build listed there, whatever MANIFEST.in says now.
    (ROOT / "textgen_onnx.egg-info" / "SOURCES.txt").unlink(missing_ok=True)
    subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)],
        check=True,
        capture_output=True,
    )
    return folder


@pytest.fixture(scope="session")
def wheel(distributions: Path) -> Path:
    """The built wheel."""
    (built,) = distributions.glob("*.whl")
    return built
