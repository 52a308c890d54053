"""A model is read from a path, bytes or an open file; one that cannot be is an error of one line.

``tests/core/test_core_reader.py`` has all kinds of damage; Python passes the message of the core on.
"""

import io
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import textgen_runtime as textgen
from onnx import TensorProto, helper
from textgen_runtime.model import EngineName

from tests.helpers.damaged_models import set_values
from tests.helpers.paths import TINY
from tests.helpers.programs import posix_only


def assert_rejected(path: Path, message: str, engine: EngineName = "native") -> None:
    """Assert that loading raises a one-line error that names the file and matches ``message``."""
    with pytest.raises(textgen.ModelFileError, match=message) as caught:
        textgen.load(path, engine=engine)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_folder_is_read_as_the_model_file_in_it(tmp_path: Path) -> None:
    assert_rejected(tmp_path, "^the folder .* has no model.onnx$")
    (tmp_path / "model.onnx").write_bytes(TINY.read_bytes())
    for path in (tmp_path, str(tmp_path), f"{tmp_path}/"):
        assert textgen.load(path).sha256 == textgen.load(TINY).sha256
    (tmp_path / "model.onnx").write_bytes(b"damaged\0")
    assert_rejected(tmp_path, "the file is not an ONNX model")


def test_a_missing_empty_or_unreadable_file_is_an_error(tmp_path: Path) -> None:
    assert_rejected(tmp_path / "none.onnx", "No such file")
    (tmp_path / "model.onnx").mkdir()
    assert_rejected(tmp_path, "Is a directory")
    empty = tmp_path / "empty.onnx"
    empty.touch()
    assert_rejected(empty, "the file is not an ONNX model")


@pytest.mark.parametrize("name", ["a\0b", "\ud800"])
def test_a_name_that_no_file_can_have_is_an_error(name: str) -> None:
    assert_rejected(Path(name), "no file can have this name")
    with pytest.raises(textgen.ModelFileError, match=f"cannot read the model file {name}: no file can have"):
        textgen.load(name)


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, io.BytesIO])
def test_a_model_is_loaded_from_bytes_and_open_files(kind: Callable[[bytes], Any]) -> None:
    assert textgen.load(kind(TINY.read_bytes())).sha256 == textgen.load(TINY).sha256


def test_an_open_file_is_read_from_its_position(tmp_path: Path) -> None:
    path = tmp_path / "behind.bin"
    path.write_bytes(b"header" + TINY.read_bytes())
    with path.open("rb") as file:
        file.seek(6)
        assert textgen.load(file).sha256 == textgen.load(TINY).sha256
        assert not file.closed


def test_an_invalid_source_is_an_error_that_names_it(tmp_path: Path) -> None:
    # Bytes are content, even if they are the path of a file.
    with pytest.raises(textgen.ModelFileError, match=r"^the given bytes: this is a text"):
        textgen.load(str(TINY).encode())
    with pytest.raises(textgen.ModelFileError, match=r"^the given bytes: the file is not an ONNX model$"):
        textgen.load(b"")
    with pytest.raises(TypeError, match="the model must be a path, bytes or a binary file object, not int"):
        textgen.load(5)  # type: ignore[arg-type]
    path = tmp_path / "text.onnx"
    path.write_text("text")
    with (
        path.open() as text,
        pytest.raises(TypeError),
    ):
        textgen.load(text)  # type: ignore[arg-type]
    with (
        path.open("rb") as file,
        pytest.raises(textgen.ModelFileError, match=r"text\.onnx: this is a text"),
    ):
        textgen.load(file)
    with (
        path.open("wb") as file,
        pytest.raises(textgen.ModelFileError, match=r"cannot read .*text\.onnx: read"),
    ):
        textgen.load(file)


@pytest.mark.parametrize(
    ("content", "is_text"),
    [
        (b"the will\tto\r\npower", True),
        ("\ufeffé".encode(), True),
        # The beginning ends within a character.
        ("xé".encode() * 5000 + b"\xff\0", True),
        ("éa".encode("latin-1"), False),
        (b"a\0b", False),
        (TINY.read_bytes()[:4], False),
        (b"PK\x03\x04" + bytes(range(256)), False),
    ],
)
def test_a_text_is_no_model_and_the_error_says_so(content: bytes, is_text: bool) -> None:
    with pytest.raises(textgen.ModelFileError) as caught:
        textgen.load(content)
    assert ("this is a text" in str(caught.value)) == is_text


def test_a_file_of_two_gibibytes_is_rejected_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr("textgen_runtime.model.open_model")
    path = tmp_path / "large.onnx"
    with path.open("wb") as file:
        # A sparse file, which takes no space on the disk.
        file.truncate(2**31)
    assert_rejected(path, "the file has 2 GiB or more")


def test_an_open_file_is_read_up_to_the_maximum_size(monkeypatch: pytest.MonkeyPatch) -> None:
    class Endless:
        name = "endless"

        def read(self, size: int = -1, /) -> bytes:
            assert size > 0
            return bytes(size)

    monkeypatch.setattr("textgen_runtime.model_file.MAX_FILE_SIZE", 10**7)
    with pytest.raises(textgen.ModelFileError, match=r"^endless: the file has 2 GiB or more"):
        textgen.load(Endless())


@posix_only
def test_a_model_is_loaded_from_a_pipe(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=lambda: path.write_bytes(TINY.read_bytes()))
    writer.start()
    model = textgen.load(path)
    writer.join()
    assert model.sha256 == textgen.load(TINY).sha256


def test_another_onnx_model_is_rejected(tmp_path: Path) -> None:
    graph = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["y"])],
        "other",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])],
    )
    path = tmp_path / "other.onnx"
    path.write_bytes(
        helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9
        ).SerializeToString()
    )
    assert_rejected(path, "not a text generator: without metadata 'textgen.format'")
    assert_rejected(path, r"not a text generator: the inputs are \['x'\]", "onnxruntime")


def test_damaged_metadata_is_an_error_with_each_engine(tiny_proto: onnx.ModelProto, tmp_path: Path) -> None:
    """``tests/core/test_core_metadata.py`` has all kinds of damage."""
    (vocabulary,) = (entry for entry in tiny_proto.metadata_props if entry.key == "textgen.vocabulary")
    vocabulary.value = '["a", "b"]'
    path = tmp_path / "short.onnx"
    path.write_bytes(tiny_proto.SerializeToString())
    assert_rejected(path, r"damaged.*: metadata 'textgen\.vocabulary'")
    assert_rejected(path, r"damaged.*: metadata 'textgen\.vocabulary'", "onnxruntime")


def test_weights_that_are_nan_are_an_error(tiny_proto: onnx.ModelProto, tmp_path: Path) -> None:
    set_values("output_bias", np.full(12, np.nan))(tiny_proto)
    path = tmp_path / "nan.onnx"
    path.write_bytes(tiny_proto.SerializeToString())
    with pytest.raises(textgen.SamplingError, match="logits contain NaN"):
        textgen.load(path, engine="onnxruntime").generate("abc", length=1)
    assert_rejected(path, "damaged at byte .*: tensor 'output_bias'")
