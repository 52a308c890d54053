"""Paths of the project."""

from pathlib import Path

ROOT = Path(__file__).parents[2]

# A model file with random weights, made by ``make_tiny_model``.
TINY = ROOT / "tests" / "data" / "tiny.onnx"

# A generation of that model, saved by the first release.
SAVED_GENERATION = ROOT / "tests" / "data" / "saved_generation.npz"

# Model files of format 2, made by ``make_format_2_models``.
FORMAT_2 = ROOT / "tests" / "data" / "format_2"
