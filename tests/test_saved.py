"""A generation that goes on from a file."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import textgen_runtime as textgen
from textgen_runtime import Model, OutputError, SavedGenerationError

from .make_tiny_model import make_model


def test_a_resumed_generation_goes_on_where_it_stood(tiny: Model, tmp_path: Path) -> None:
    path = tmp_path / "text.npz"
    generation = tiny.start("abc", temperature=0.9, seed=5, substream=2)
    generation.take(33)
    textgen.save(generation, path)
    resumed = textgen.resume(tiny, path)
    assert resumed.prompt == "abc"
    assert resumed.sampler.temperature == 0.9
    assert resumed.take(100) == generation.take(100)


def test_it_belongs_to_its_model(tiny: Model, tmp_path: Path) -> None:
    """To its weights as well: the metadata may be the same."""
    model = make_model(scale=0.5)
    assert model.metadata_props == make_model().metadata_props
    other = tmp_path / "other.onnx"
    other.write_bytes(model.SerializeToString())
    textgen.save(tiny.start(seed=1), tmp_path / "text.npz")
    with pytest.raises(SavedGenerationError, match="saved from another model"):
        textgen.resume(textgen.load(other), tmp_path / "text.npz")


def test_what_cannot_be_read(tiny: Model, tmp_path: Path) -> None:
    path = tmp_path / "text.npz"
    with pytest.raises(SavedGenerationError, match="No such file"):
        textgen.resume(tiny, path)
    textgen.save(tiny.start(seed=1), path)
    whole = path.read_bytes()
    for content in (b"", b"PK\x03\x04", b"nonsense", whole[: len(whole) // 2]):
        path.write_bytes(content)
        with pytest.raises(SavedGenerationError, match=r"text\.npz: not a saved generation"):
            textgen.resume(tiny, path)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("hidden", np.zeros((1, 1, 5), np.float32)),
        ("cell", np.zeros((1, 1, 4), np.float64)),
        ("logits", np.zeros(11, np.float32)),
        ("logits", np.array([object()])),
        ("description", np.array("{}")),
        ("description", np.array("[1")),
    ],
)
def test_arrays_that_do_not_fit(tiny: Model, tmp_path: Path, name: str, value: Any) -> None:
    path = tmp_path / "text.npz"
    textgen.save(tiny.start(seed=1), path)
    with np.load(path) as content:
        arrays = dict(content)
    np.savez(path, **(arrays | {name: value}))
    with pytest.raises(SavedGenerationError):
        textgen.resume(tiny, path)


def test_where_it_cannot_be_written(tiny: Model, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot write"):
        textgen.save(tiny.start(seed=1), tmp_path / "none" / "text.npz")
