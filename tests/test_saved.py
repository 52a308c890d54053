"""A generation that goes on from a file."""

import io
import json
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

import numpy as np
import pytest
import textgen_runtime as textgen
from textgen_runtime import Model, OutputError, SamplingError, SavedGenerationError

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
    with pytest.raises(OutputError, match="cannot write the open file: it does not wait"):
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
        with pytest.raises(OutputError, match="cannot write the open file: it does not wait"):
            textgen.save(tiny.start("abc", seed=1), slow)


def test_open_files_that_will_not_do(tiny: Model, tmp_path: Path) -> None:
    generation = tiny.start("abc", seed=1)
    path = tmp_path / "text.npz"
    with (
        path.open("w") as text,
        pytest.raises(TypeError, match=r"text\.npz takes text, not bytes: open it in b"),
    ):
        textgen.save(generation, text)  # type: ignore[arg-type]
    with path.open("rb") as file, pytest.raises(OutputError, match=r"cannot write .*text\.npz: "):
        textgen.save(generation, file)
    with (
        path.open() as text,
        pytest.raises(TypeError, match=r"text\.npz gives str, not bytes: open it in binary"),
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


def rewrite(path: Path, **changes: Any) -> None:
    """Change the arrays of a saved generation, or fields of its description."""
    with np.load(path) as content:
        arrays = dict(content)
    described = json.loads(str(arrays["description"]))
    described |= {name: changes.pop(name) for name in list(changes) if name in described}
    np.savez(path, **(arrays | {"description": np.array(json.dumps(described))} | changes))


@pytest.mark.parametrize("name", ["hidden", "cell", "logits", "description"])
def test_a_compressed_file_is_not_decompressed(
    tiny: Model, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A megabyte of it could fill a gigabyte."""
    path = tmp_path / "text.npz"
    textgen.save(tiny.start(seed=1), path)
    with np.load(path) as content:
        arrays = dict(content)
    with ZipFile(path, "w") as archive:
        for each, array in arrays.items():
            content = io.BytesIO()
            np.save(content, np.zeros(10**6, np.float32) if each == name else array)
            archive.writestr(f"{each}.npy", content.getvalue(), ZIP_DEFLATED if each == name else ZIP_STORED)
    monkeypatch.delattr("zlib.decompressobj")
    with pytest.raises(SavedGenerationError, match=r"text\.npz: it is compressed"):
        textgen.resume(tiny, path)


def test_a_large_array_is_not_read(tiny: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "text.npz"
    textgen.save(tiny.start(seed=1), path)
    rewrite(path, cell=np.zeros(10**6, np.float32))
    read = ZipFile.read

    def read_small(archive: ZipFile, member: ZipInfo) -> bytes:
        assert member.file_size < 10**5
        return read(archive, member)

    monkeypatch.setattr(ZipFile, "read", read_small)
    with pytest.raises(SavedGenerationError, match="not of this model's shapes"):
        textgen.resume(tiny, path)


def test_sizes_that_lie(tiny: Model, tmp_path: Path) -> None:
    """A directory that says that a member is larger than the file."""
    path = tmp_path / "text.npz"
    textgen.save(tiny.start(seed=1), path)
    content = bytearray(path.read_bytes())
    entry = content.index(b"description.npy", content.index(b"PK\1\2")) - 46
    content[entry + 20 : entry + 28] = b"\xff\xff\xff\x7f" * 2
    path.write_bytes(content)
    with pytest.raises(SavedGenerationError):
        textgen.resume(tiny, path)


@pytest.mark.parametrize("change", ["entries", "comment", "zip64"])
def test_a_directory_of_another_archive_is_not_opened(
    tiny: Model, tmp_path: Path, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else zipfile would make an object of each of its entries first."""
    path = tmp_path / "text.npz"
    textgen.save(tiny.start(seed=1), path)
    if change == "entries":
        rewrite(path, another=np.zeros(1))
    elif change == "comment":
        with ZipFile(path, "a") as archive:
            archive.comment = b"any"
    else:
        content = path.read_bytes()
        path.write_bytes(content[:-22] + b"PK\6\7" + bytes(16) + content[-22:])
    opened: list[object] = []
    monkeypatch.setattr("zipfile.ZipFile", opened.append)
    with pytest.raises(SavedGenerationError, match="not a saved generation"):
        textgen.resume(tiny, path)
    assert not opened


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("hidden", np.full((1, 1, 4), np.nan, np.float32)),
        ("cell", np.full((1, 1, 4), np.inf, np.float32)),
        ("logits", np.array([np.nan] + [0] * 11, np.float32)),
        ("logits", np.array([np.inf] + [0] * 11, np.float32)),
        ("logits", np.full(12, -np.inf, np.float32)),
    ],
)
def test_values_that_are_not_finite(tiny: Model, tmp_path: Path, name: str, value: Any) -> None:
    path = tmp_path / "text.npz"
    textgen.save(tiny.start(seed=1), path)
    rewrite(path, **{name: value})
    with pytest.raises(SavedGenerationError, match="not finite"):
        textgen.resume(tiny, path)


def test_a_character_may_be_impossible(tiny: Model, tmp_path: Path) -> None:
    path = tmp_path / "text.npz"
    textgen.save(tiny.start(seed=1), path)
    rewrite(path, logits=np.array([-np.inf] * 11 + [0], np.float32))
    assert textgen.resume(tiny, path).take(1) == tiny.vocabulary.symbols[11]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("position", -1),
        ("position", 2**63),
        ("position", 1.5),
        ("seed", -1),
        ("seed", 2**128),
        ("substream", 2**32),
        ("temperature", "warm"),
        ("temperature", -1.0),
        ("prompt", 7),
        ("prompt", "\ud800"),
    ],
)
def test_a_description_that_is_out_of_range(tiny: Model, tmp_path: Path, name: str, value: Any) -> None:
    path = tmp_path / "text.npz"
    textgen.save(tiny.start(seed=1), path)
    rewrite(path, **{name: value})
    with pytest.raises(SavedGenerationError, match=r"text\.npz: not a saved generation"):
        textgen.resume(tiny, path)


def test_the_last_position_ends_the_random_stream(tiny: Model, tmp_path: Path) -> None:
    path = tmp_path / "text.npz"
    textgen.save(tiny.start(seed=1), path)
    rewrite(path, position=2**63 - 1 - 3)
    generation = textgen.resume(tiny, path)
    assert len(generation.copy().take(3)) == 3
    for _ in range(2):
        with pytest.raises(SamplingError, match="used up"):
            generation.take(4)
        assert generation.sampler.position == 2**63 - 1 - 3


def test_where_it_cannot_be_written(tiny: Model, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot write"):
        textgen.save(tiny.start(seed=1), tmp_path / "none" / "text.npz")
