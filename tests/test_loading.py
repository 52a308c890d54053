"""Model files: the good one, and all the others."""

import io
import os
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import textgen_runtime as textgen
from onnx import TensorProto, helper, numpy_helper
from textgen_runtime.engine import initial_state
from textgen_runtime.loading import EngineName
from textgen_runtime.native_graph import KnownGraph
from textgen_runtime.onnx_engine import OnnxEngine

from .make_tiny_model import PATH, make_model

Damage = Callable[[onnx.ModelProto], None]


def test_the_tiny_model_is_what_its_script_makes() -> None:
    made, kept = make_model(), onnx.load(PATH)
    assert made.graph == kept.graph
    assert list(made.metadata_props) == list(kept.metadata_props)


def test_a_loaded_model_knows_its_contract(tiny: textgen.Model) -> None:
    assert (tiny.engine.layers, tiny.engine.units, tiny.engine.vocabulary_size) == (1, 4, 12)
    assert tiny.vocabulary.symbols == tuple("\n abcdehé€ж𝄞")
    assert tiny.prompts == ("abc", "dad had", "é€ж𝄞")
    assert tiny.training == {"corpus": "none: the weights are random"}


def refused(path: Path, message: str, engine: EngineName = "auto") -> None:
    """Loading fails with one line that names the file and says what is wrong."""
    with pytest.raises(textgen.ModelFileError, match=message) as caught:
        textgen.load(path, engine=engine)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_folder_stands_for_the_model_in_it(tmp_path: Path) -> None:
    refused(tmp_path, "^the folder .* holds no model.onnx$")
    (tmp_path / "model.onnx").write_bytes(PATH.read_bytes())
    for path in (tmp_path, str(tmp_path), f"{tmp_path}/"):
        assert textgen.load(path).sha256 == textgen.load(PATH).sha256
    (tmp_path / "model.onnx").write_bytes(b"damaged")
    refused(tmp_path, "cannot read it as an ONNX model")


def test_missing_empty_and_unreadable(tmp_path: Path) -> None:
    refused(tmp_path / "none.onnx", "No such file")
    (tmp_path / "model.onnx").mkdir()
    refused(tmp_path, "Is a directory")
    empty = tmp_path / "empty.onnx"
    empty.touch()
    refused(empty, "is empty")


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, io.BytesIO])
def test_the_content_of_a_file(kind: Callable[[bytes], Any]) -> None:
    assert textgen.load(kind(PATH.read_bytes())) == textgen.load(PATH)


def test_an_open_file_is_read_from_where_it_stands(tmp_path: Path) -> None:
    path = tmp_path / "behind.bin"
    path.write_bytes(b"header" + PATH.read_bytes())
    with path.open("rb") as file:
        file.seek(6)
        assert textgen.load(file) == textgen.load(PATH)
        assert not file.closed


def test_what_is_no_content_says_so_and_is_not_shown(tmp_path: Path) -> None:
    # Not the path of a file, though it looks like one.
    with pytest.raises(textgen.ModelFileError, match=r"^the given content: cannot read it as an ONNX model"):
        textgen.load(str(PATH).encode())
    with pytest.raises(textgen.ModelFileError, match=r"^the given content is empty$"):
        textgen.load(b"")
    with pytest.raises(TypeError, match="from a path, from bytes or from an open binary file, not from int"):
        textgen.load(5)  # type: ignore[arg-type]
    path = tmp_path / "text.onnx"
    path.write_text("text")
    with (
        path.open() as text,
        pytest.raises(TypeError, match=r"text.onnx gives str, not bytes: open it in bin"),
    ):
        textgen.load(text)  # type: ignore[arg-type]
    with (
        path.open("rb") as file,
        pytest.raises(textgen.ModelFileError, match=r"text\.onnx: cannot read it as"),
    ):
        textgen.load(file)
    with (
        path.open("wb") as file,
        pytest.raises(textgen.ModelFileError, match=r"cannot read .*text\.onnx: read"),
    ):
        textgen.load(file)


def test_random_bytes(tmp_path: Path) -> None:
    path = tmp_path / "random.onnx"
    path.write_bytes(np.random.default_rng(0).bytes(4096))
    refused(path, "cannot read it as an ONNX model")


def test_a_file_cut_short_anywhere(tmp_path: Path) -> None:
    whole = PATH.read_bytes()
    path = tmp_path / "cut.onnx"
    for length in range(1, len(whole), 37):
        path.write_bytes(whole[:length])
        refused(path, ".")


def test_another_onnx_model(tmp_path: Path) -> None:
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
    refused(path, r"no text generator: it has no 'textgen.format' metadata")
    refused(path, r"no text generator: its inputs are \['x'\]", "onnxruntime")


def drop_metadata(model: onnx.ModelProto) -> None:
    del model.metadata_props[:]


def set_metadata(key: str, value: str) -> Damage:
    def damage(model: onnx.ModelProto) -> None:
        next(entry for entry in model.metadata_props if entry.key == key).value = value

    return damage


def rename_output(model: onnx.ModelProto) -> None:
    model.graph.output[0].name = model.graph.node[-1].output[0] = "scores_of_all"


def tokens_of_another_type(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.INT32


def state_of_unknown_size(model: onnx.ModelProto) -> None:
    for place in (*model.graph.input[1:], *model.graph.output[1:]):
        place.type.tensor_type.shape.dim[2].dim_param = "units"


def state_of_another_size(model: onnx.ModelProto) -> None:
    for place in (*model.graph.input[1:], *model.graph.output[1:]):
        place.type.tensor_type.shape.dim[2].dim_value = 5


def state_of_two_dimensions(model: onnx.ModelProto) -> None:
    del model.graph.input[1].type.tensor_type.shape.dim[2]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (drop_metadata, "has no 'textgen.format' metadata"),
        (set_metadata("textgen.format", "9"), "of format 9, and this version reads format 2: upgrade"),
        (set_metadata("textgen.vocabulary", "{"), "is not JSON"),
        (set_metadata("textgen.vocabulary", '["a", "b"]'), "."),
        (set_metadata("textgen.level", '"word"'), "upgrade"),
        (rename_output, "its outputs"),
        (tokens_of_another_type, "not one that textgen-train writes"),
        (state_of_unknown_size, "not one that textgen-train writes"),
        (state_of_another_size, "."),
        (state_of_two_dimensions, "."),
    ],
)
def test_damaged_models(damage: Damage, message: str, tiny_proto: onnx.ModelProto, tmp_path: Path) -> None:
    damage(tiny_proto)
    path = tmp_path / "damaged.onnx"
    path.write_bytes(tiny_proto.SerializeToString())
    refused(path, message)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (drop_metadata, "has no 'textgen.format' metadata"),
        (rename_output, "its outputs"),
        (tokens_of_another_type, "'token' is"),
        (state_of_unknown_size, "does not state its layers and units"),
        (state_of_another_size, "."),
        (state_of_two_dimensions, "."),
    ],
)
def test_damaged_models_in_onnxruntime(
    damage: Damage, message: str, tiny_proto: onnx.ModelProto, tmp_path: Path
) -> None:
    damage(tiny_proto)
    path = tmp_path / "damaged.onnx"
    path.write_bytes(tiny_proto.SerializeToString())
    refused(path, message, "onnxruntime")


def test_a_file_of_two_gibibytes_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("textgen_runtime.loading.open_model")
    path = tmp_path / "large.onnx"
    with path.open("wb") as file:
        # Nothing is on the disk, but all of it could be read.
        file.truncate(2**31)
    refused(path, "it has 2 GiB or more")


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="needs a device that never ends")
def test_what_has_no_size_is_read_up_to_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("textgen_runtime.loading.LARGEST_FILE", 10**6)
    refused(Path("/dev/zero"), "it has 2 GiB or more")


def test_an_open_file_is_read_up_to_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    class Endless:
        name = "endless"

        def read(self, size: int = -1, /) -> bytes:
            assert size > 0
            return bytes(size)

    monkeypatch.setattr("textgen_runtime.loading.LARGEST_FILE", 10**7)
    with pytest.raises(textgen.ModelFileError, match=r"^endless: it has 2 GiB or more"):
        textgen.load(Endless())


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_model_from_a_pipe(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=lambda: path.write_bytes(PATH.read_bytes()))
    writer.start()
    model = textgen.load(path)
    writer.join()
    assert model.sha256 == textgen.load(PATH).sha256


def test_a_path_that_is_too_long_to_be_one() -> None:
    with pytest.raises(textgen.ModelFileError, match="File name too long") as caught:
        textgen.load("x" * 10**6)
    assert len(str(caught.value)) < 400


def test_metadata_is_checked_before_weights_are_read(
    tiny_proto: onnx.ModelProto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_metadata("textgen.vocabulary", '["a", "b"]')(tiny_proto)
    path = tmp_path / "short.onnx"
    path.write_bytes(tiny_proto.SerializeToString())
    monkeypatch.delattr(KnownGraph, "weights")
    refused(path, "its vocabulary has 2 characters but its logits 12 values")


def test_a_vocabulary_that_disagrees_with_the_logits(tiny_proto: onnx.ModelProto, tmp_path: Path) -> None:
    set_metadata("textgen.prompts", "[]")(tiny_proto)
    set_metadata("textgen.vocabulary", '["a", "b"]')(tiny_proto)
    path = tmp_path / "short.onnx"
    path.write_bytes(tiny_proto.SerializeToString())
    refused(path, "its vocabulary has 2 characters but its logits 12 values")


def test_a_model_whose_weights_are_not_numbers(tiny_proto: onnx.ModelProto, tmp_path: Path) -> None:
    bias = next(tensor for tensor in tiny_proto.graph.initializer if tensor.name == "output_bias")
    bias.CopyFrom(numpy_helper.from_array(np.full(12, np.nan, np.float32), bias.name))
    path = tmp_path / "nan.onnx"
    path.write_bytes(tiny_proto.SerializeToString())
    with pytest.raises(textgen.SamplingError, match="logits hold NaN"):
        textgen.load(path, engine="onnxruntime").generate("abc", length=1)
    refused(path, "its weights 'output_bias' hold NaN or infinity")


@pytest.mark.parametrize("threads", [0, -1])
def test_threads(threads: int, tiny_path: Path) -> None:
    with pytest.raises(ValueError, match="threads"):
        textgen.load(tiny_path, threads=threads)
    assert textgen.load(tiny_path, threads=2).generate("abc", length=3, seed=0)


@pytest.mark.parametrize("layers", [1, 3])
def test_time_and_batch_are_free(layers: int) -> None:
    """One call over time equals single steps, and a row of a batch equals a stream alone."""
    engine = OnnxEngine(make_model(units=7, layers=layers).SerializeToString())
    assert (engine.layers, engine.units) == (layers, 7)
    tokens = np.random.default_rng(1).integers(12, size=(9, 4))
    together, state = engine.step(tokens, initial_state(engine, batch=4))
    for row in range(4):
        alone = initial_state(engine)
        for time in range(9):
            logits, alone = engine.step(tokens[time : time + 1, row : row + 1], alone)
            np.testing.assert_allclose(logits[0, 0], together[time, row], atol=1e-5)
        np.testing.assert_allclose(alone.hidden[:, 0], state.hidden[:, row], atol=1e-5)
        np.testing.assert_allclose(alone.cell[:, 0], state.cell[:, row], atol=1e-5)


def test_the_graph_is_clean() -> None:
    one = [node.op_type for node in make_model().graph.node]
    assert one == ["Gather", "LSTM", "Squeeze", "MatMul", "Add"]
    model = onnx.load(PATH)
    assert (model.ir_version, model.opset_import[0].version) == (9, 17)
    assert all(re.fullmatch(r"[a-z_0-9]+", node.name) for node in model.graph.node)
    assert not any(tensor.external_data for tensor in model.graph.initializer)


@pytest.mark.parametrize("engine", ["native", "onnxruntime"])
def test_the_last_logits_alone_are_those_of_the_last_token(engine: EngineName) -> None:
    opened = textgen.load(PATH, engine=engine).engine
    for time, batch in ((1, 1), (7, 1), (5, 3)):
        tokens = np.random.default_rng(time).integers(opened.vocabulary_size, size=(time, batch))
        logits, state = opened.step(tokens, initial_state(opened, batch))
        last, after = opened.step(tokens, initial_state(opened, batch), last_only=True)
        assert last.shape == (1, batch, opened.vocabulary_size)
        np.testing.assert_allclose(last[0], logits[-1], atol=1e-6)
        np.testing.assert_array_equal(after.hidden, state.hidden)
        np.testing.assert_array_equal(after.cell, state.cell)
