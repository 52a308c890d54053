"""Damaged saved generations are rejected before large parts are read."""

import io
import json
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

import numpy as np
import pytest
import textgen_runtime as textgen
from textgen_runtime import Model, SavedGenerationError

from tests.helpers.make_tiny_model import make_model
from tests.helpers.saved_files import rewrite


@pytest.fixture
def path(tiny: Model, tmp_path: Path) -> Path:
    """The file of a saved generation."""
    path = tmp_path / "text.npz"
    textgen.save(tiny.start(seed=1), path)
    return path


def test_unreadable_files_are_rejected(tiny: Model, tmp_path: Path) -> None:
    path = tmp_path / "text.npz"
    with pytest.raises(SavedGenerationError, match="No such file"):
        textgen.resume(tiny, path)
    textgen.save(tiny.start(seed=1), path)
    saved = path.read_bytes()
    for content in (b"", b"PK\x03\x04", b"nonsense", saved[: len(saved) // 2]):
        path.write_bytes(content)
        with pytest.raises(SavedGenerationError, match=r"text\.npz: the file is not a saved generation"):
            textgen.resume(tiny, path)


def test_an_array_in_column_major_order_is_rejected(tmp_path: Path) -> None:
    path = tmp_path / "text.npz"
    model = textgen.load(make_model(layers=2).SerializeToString())
    textgen.save(model.start("a", seed=1), path)
    with np.load(path) as content:
        arrays = dict(content)
    np.savez(path, **(arrays | {"hidden": np.asfortranarray(arrays["hidden"])}))
    with pytest.raises(SavedGenerationError, match="must be in row-major order"):
        textgen.resume(model, path)


@pytest.mark.parametrize("name", ["hidden", "cell", "logits", "description"])
def test_a_compressed_file_is_not_decompressed(
    tiny: Model, path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A megabyte of compressed data can expand to a gigabyte."""
    with np.load(path) as content:
        arrays = dict(content)
    with ZipFile(path, "w") as archive:
        for key, array in arrays.items():
            content = io.BytesIO()
            np.save(content, np.zeros(10**6, np.float32) if key == name else array)
            archive.writestr(f"{key}.npy", content.getvalue(), ZIP_DEFLATED if key == name else ZIP_STORED)
    monkeypatch.delattr("zlib.decompressobj")
    with pytest.raises(
        SavedGenerationError, match=r"text\.npz: the archive was compressed: save the generation again"
    ):
        textgen.resume(tiny, path)


def test_a_large_array_is_not_read(tiny: Model, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rewrite(path, cell=np.zeros(10**6, np.float32))
    read = ZipFile.read

    def read_small(archive: ZipFile, member: ZipInfo) -> bytes:
        assert member.file_size < 10**5
        return read(archive, member)

    monkeypatch.setattr(ZipFile, "read", read_small)
    with pytest.raises(SavedGenerationError, match=r"the array .* must be|larger than the model needs"):
        textgen.resume(tiny, path)


def test_a_member_size_beyond_the_file_is_rejected(tiny: Model, path: Path) -> None:
    content = bytearray(path.read_bytes())
    entry = content.index(b"description.npy", content.index(b"PK\1\2")) - 46
    content[entry + 20 : entry + 28] = b"\xff\xff\xff\x7f" * 2
    path.write_bytes(content)
    with pytest.raises(SavedGenerationError):
        textgen.resume(tiny, path)


@pytest.mark.parametrize("change", ["entries", "comment", "zip64"])
def test_an_unexpected_directory_is_rejected_before_it_is_opened(
    tiny: Model, path: Path, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Opening it would create an object per entry."""
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


def test_a_logit_may_be_minus_infinity(tiny: Model, path: Path) -> None:
    rewrite(path, logits=np.array([-np.inf] * 11 + [0], np.float32))
    assert textgen.resume(tiny, path).take(1) == tiny.tokenizer.symbols[11]


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        *(
            (name, value, "contain NaN or infinity")
            for name, value in [
                ("hidden", np.full((1, 1, 4), np.nan, np.float32)),
                ("cell", np.full((1, 1, 4), np.inf, np.float32)),
                ("logits", np.array([np.nan] + [0] * 11, np.float32)),
                ("logits", np.array([np.inf] + [0] * 11, np.float32)),
                ("logits", np.full(12, -np.inf, np.float32)),
            ]
        ),
        ("hidden", np.zeros((1, 1, 5), np.float32), "the array 'hidden' must be float32 of shape"),
        ("cell", np.zeros((1, 1, 4), np.float64), "the array 'cell' must be float32 of shape"),
        ("logits", np.zeros(11, np.float32), "the array 'logits' must be float32 of shape"),
        ("logits", np.array([object()]), "the array 'logits' must be float32 of shape"),
        *(
            (name, value, r"text\.npz: the file is not a saved generation")
            for name, value in [
                ("description", np.array("{}")),
                ("description", np.array("[1")),
                ("position", -1),
                ("position", 2**63),
                ("position", 1.5),
                ("seed", -1),
                ("seed", 2**128),
                ("substream", 2**32),
                ("sampling", {"temperature": "warm"}),
                ("sampling", {"temperature": -1.0}),
                ("sampling", 0.5),
                ("prompt", 7),
                ("prompt", "\ud800"),
            ]
        ),
    ],
)
def test_damaged_arrays_and_descriptions_are_rejected(
    tiny: Model, path: Path, name: str, value: Any, message: str
) -> None:
    rewrite(path, **{name: value})
    with pytest.raises(SavedGenerationError, match=message):
        textgen.resume(tiny, path)


@pytest.mark.parametrize("tail", [[-1], [12], ["a"], [True], 7])
def test_last_tokens_outside_the_vocabulary_are_rejected(tiny: Model, tmp_path: Path, tail: Any) -> None:
    path = tmp_path / "text.npz"
    generation = tiny.start(seed=1)
    textgen.save(generation, path)
    with np.load(path) as content:
        described = json.loads(str(content["description"]))
    rewrite(path, description=np.array(json.dumps(described | {"tail": [11]})))
    assert textgen.resume(tiny, path).take(20) == generation.take(20)
    rewrite(path, description=np.array(json.dumps(described | {"tail": tail})))
    with pytest.raises(SavedGenerationError, match=r"text\.npz: the (last tokens are not in|file is not)"):
        textgen.resume(tiny, path)
