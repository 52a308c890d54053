"""Paths of the project."""

from pathlib import Path

ROOT = Path(__file__).parents[2]

# A model file with random weights, made by ``make_tiny_model``.
TINY = ROOT / "tests" / "data" / "tiny.onnx"
# Written by ``python -m tests.helpers.int8_models``: a model with 8-bit weights, and the text that it
# generates on every processor: 400 characters after "abc" at temperature 1 and seed 7.
TINY_INT8 = ROOT / "tests" / "data" / "tiny_int8.onnx"
TINY_INT8_TEXT = ROOT / "tests" / "data" / "tiny_int8.txt"

# A generation of that model, saved by the first release.
SAVED_GENERATION = ROOT / "tests" / "data" / "saved_generation.gen"

# Model files of format 2 with random weights.
FORMAT_2 = ROOT / "tests" / "data" / "format_2"
