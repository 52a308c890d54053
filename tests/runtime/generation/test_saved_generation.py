"""A saved generation goes on where it stood, with its own model."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import textgen_runtime as textgen
from textgen_runtime import Model, OutputError, SamplingError, SavedGenerationError

from tests.helpers.make_tiny_model import make_model
from tests.helpers.saved_files import rewrite


def test_a_resumed_generation_goes_on_where_it_stood(tiny: Model, tmp_path: Path) -> None:
    path = tmp_path / "text.npz"
    generation = tiny.start("abc", temperature=0.9, seed=5, substream=2)
    generation.take(33)
    textgen.save(generation, path)
    resumed = textgen.resume(tiny, path)
    assert resumed.prompt == "abc"
    assert resumed.sampler.temperature == 0.9
    assert resumed.take(100) == generation.take(100)


def test_an_open_file_takes_the_place_of_a_path(tiny: Model, tmp_path: Path) -> None:
    generation = tiny.start("abc", temperature=0.9, seed=5)
    path = tmp_path / "text.npz"
    textgen.save(generation, path)
    memory = io.BytesIO()
    textgen.save(generation, memory)
    assert memory.getvalue() == path.read_bytes()
    with (tmp_path / "raw.npz").open("wb", buffering=0) as raw:
        textgen.save(generation, raw)
        assert not raw.closed
    assert (tmp_path / "raw.npz").read_bytes() == path.read_bytes()
    memory.seek(0)
    expected = generation.take(50)
    assert textgen.resume(tiny, memory).take(50) == expected
    with path.open("rb") as file:
        assert textgen.resume(tiny, file).take(50) == expected


def test_what_takes_a_part_at_a_time_gets_the_whole(tiny: Model) -> None:
    class Slow(io.RawIOBase):
        def __init__(self) -> None:
            self.content = b""

        def write(self, data: Any) -> int | None:
            self.content += bytes(data[:100])
            return len(data[:100]) if len(self.content) < 600 else None

    slow, memory = Slow(), io.BytesIO()
    textgen.save(tiny.start("abc", seed=1), memory)
    with pytest.raises(OutputError, match="cannot write the open file: the write would block"):
        textgen.save(tiny.start("abc", seed=1), slow)
    assert slow.content == memory.getvalue()[:600]


@pytest.mark.parametrize("most", [1000, 0])
def test_a_file_of_a_programs_own_may_take_a_part_too(tiny: Model, most: int) -> None:
    class Slow:
        def __init__(self) -> None:
            self.content = b""

        def write(self, data: bytes) -> int:
            self.content += data[:most]
            return len(data[:most])

    slow, memory = Slow(), io.BytesIO()
    textgen.save(tiny.start("abc", seed=1), memory)
    if most:
        textgen.save(tiny.start("abc", seed=1), slow)
        assert slow.content == memory.getvalue()
    else:
        with pytest.raises(OutputError, match="cannot write the open file: the write would block"):
            textgen.save(tiny.start("abc", seed=1), slow)


def test_open_files_that_will_not_do(tiny: Model, tmp_path: Path) -> None:
    generation = tiny.start("abc", seed=1)
    path = tmp_path / "text.npz"
    with (
        path.open("w") as text,
        pytest.raises(TypeError, match=r"text\.npz is open in text mode: open it in b"),
    ):
        textgen.save(generation, text)  # type: ignore[arg-type]
    with path.open("rb") as file, pytest.raises(OutputError, match=r"cannot write .*text\.npz: "):
        textgen.save(generation, file)
    with (
        path.open() as text,
        pytest.raises(TypeError, match=r"text\.npz returned str, not bytes: open it in binary"),
    ):
        textgen.resume(tiny, text)  # type: ignore[arg-type]
    with (
        path.open("rb") as file,
        pytest.raises(SavedGenerationError, match=r"text\.npz: not a saved generation"),
    ):
        textgen.resume(tiny, file)
    with path.open("wb") as file, pytest.raises(SavedGenerationError, match=r"text\.npz: cannot be read"):
        textgen.resume(tiny, file)
    with pytest.raises(TypeError, match="not to int"):
        textgen.save(generation, 5)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="not from int"):
        textgen.resume(tiny, 5)  # type: ignore[arg-type]


def test_it_belongs_to_its_model(tiny: Model, tmp_path: Path) -> None:
    """To its weights as well: the metadata may be the same."""
    model = make_model(scale=0.5)
    assert model.metadata_props == make_model().metadata_props
    other = tmp_path / "other.onnx"
    other.write_bytes(model.SerializeToString())
    textgen.save(tiny.start(seed=1), tmp_path / "text.npz")
    with pytest.raises(SavedGenerationError, match="saved from another model"):
        textgen.resume(textgen.load(other), tmp_path / "text.npz")


def test_a_file_of_before_has_a_temperature_alone(tiny: Model, tmp_path: Path) -> None:
    path = tmp_path / "text.npz"
    generation = tiny.start("abc", temperature=0.9, seed=5)
    textgen.save(generation, path)
    with np.load(path) as content:
        arrays = dict(content)
    described = json.loads(str(arrays["description"]))
    assert described.pop("sampling") == {"temperature": 0.9}
    before = described | {"temperature": 0.9}
    np.savez(path, **(arrays | {"description": np.array(json.dumps(before))}))
    resumed = textgen.resume(tiny, path)
    assert resumed.sampling == textgen.Sampling(temperature=0.9)
    assert resumed.take(50) == generation.take(50)


def test_a_file_of_a_later_version_may_have_other_parameters(tiny: Model, tmp_path: Path) -> None:
    path = tmp_path / "text.npz"
    textgen.save(tiny.start(seed=1), path)
    rewrite(path, sampling={"temperature": 0.5, "spin": 3})
    with pytest.raises(SavedGenerationError, match=r"does not know, \['spin'\]: upgrade textgen-onnx"):
        textgen.resume(tiny, path)


def test_the_last_position_ends_the_random_stream(tiny: Model, tmp_path: Path) -> None:
    path = tmp_path / "text.npz"
    textgen.save(tiny.start(seed=1), path)
    rewrite(path, position=2**63 - 1 - 3)
    generation = textgen.resume(tiny, path)
    assert len(generation.copy().take(3)) == 3
    for _ in range(2):
        with pytest.raises(SamplingError, match="exhausted"):
            generation.take(4)
        assert generation.sampler.position == 2**63 - 1 - 3


def test_where_it_cannot_be_written(tiny: Model, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot write"):
        textgen.save(tiny.start(seed=1), tmp_path / "none" / "text.npz")
