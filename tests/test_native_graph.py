"""Model files that the native engine reads, leaves to onnxruntime, or does not know."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import textgen_runtime as textgen
from onnx import TensorProto, helper, numpy_helper
from textgen_runtime.contract import Contract
from textgen_runtime.description import describe_file
from textgen_runtime.loading import open_model
from textgen_runtime.native_graph import KnownGraph, UnknownGraphError, read_weights
from textgen_runtime.native_weights import TooLargeError, pack
from textgen_runtime.onnx_file import described_fields, parse

from .make_tiny_model import make_model

Damage = Callable[[onnx.ModelProto], None]


def tensor(model: onnx.ModelProto, name: str) -> TensorProto:
    return next(each for each in model.graph.initializer if each.name == name)


def node(model: onnx.ModelProto, kind: str) -> onnx.NodeProto:
    return next(each for each in model.graph.node if each.op_type == kind)


def set_tensor(name: str, **fields: object) -> Damage:
    """Damage that sets fields of a tensor; lists replace what is there."""

    def damage(model: onnx.ModelProto) -> None:
        for field, value in fields.items():
            if isinstance(value, list):
                del getattr(tensor(model, name), field)[:]
                getattr(tensor(model, name), field).extend(value)
            else:
                setattr(tensor(model, name), field, value)

    return damage


def set_values(name: str, values: object) -> Damage:
    def damage(model: onnx.ModelProto) -> None:
        tensor(model, name).CopyFrom(numpy_helper.from_array(np.asarray(values, np.float32), name))

    return damage


def drop_tensor(name: str) -> Damage:
    return lambda model: model.graph.initializer.remove(tensor(model, name))


def repeat_tensor(model: onnx.ModelProto) -> None:
    model.graph.initializer.append(tensor(model, "embedding"))


def make_twice(model: onnx.ModelProto) -> None:
    model.graph.node.append(helper.make_node("Gather", ["embedding", "token"], ["embedded"]))


def go_in_a_circle(model: onnx.ModelProto) -> None:
    node(model, "LSTM").input[0] = node(model, "Squeeze").output[0]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (drop_tensor("embedding"), "'embedding' are missing"),
        (drop_tensor("recurrent_0"), "'recurrent_0' are missing"),
        (drop_tensor("direction_axis"), "'direction_axis' are missing"),
        (repeat_tensor, "'embedding' are there twice"),
        (make_twice, "'embedded' is made twice"),
        (go_in_a_circle, "circle"),
        (set_tensor("embedding", raw_data=b""), "hold 0 bytes"),
        (set_tensor("embedding", raw_data=b"123"), "hold 3 bytes"),
        (set_tensor("embedding", float_data=[1.0]), "do not fill"),
        (set_tensor("embedding", dims=[12, 2**60]), "do not fill"),
        (set_tensor("embedding", dims=[2**62, 2**62]), "do not fill"),
        (set_tensor("embedding", dims=[-12, -3]), "shape"),
        (set_tensor("embedding", dims=[0, 3]), "shape"),
        (set_tensor("embedding", dims=[36]), "2 dimensions"),
        (set_tensor("embedding", dims=[1] * 40), r"shape \[1(, 1){7}\], not of type 1 and 2 dimensions"),
        (set_tensor("embedding", dims=[9, 4]), "different vocabularies|shapes"),
        (set_tensor("embedding", data_type=TensorProto.DOUBLE), "type 11"),
        (set_tensor("direction_axis", data_type=TensorProto.INT32), "type 6"),
        (set_tensor("output_bias", data_location=TensorProto.EXTERNAL), "in another file"),
        (set_values("output_bias", np.zeros(11)), "different vocabularies"),
        (set_values("bias_0", np.zeros((2, 16))), "several directions"),
        (set_values("bias_0", np.zeros((1, 31))), "shapes"),
        (set_values("recurrent_0", np.zeros((1, 16, 5))), "shapes"),
        (set_values("input_0", np.full((1, 16, 3), np.inf)), "NaN or infinity"),
        (set_values("input_0", np.full((1, 16, 3), 3e38)), "too large"),
    ],
)
def test_damage_is_refused(damage: Damage, message: str, tiny_proto: onnx.ModelProto) -> None:
    damage(tiny_proto)
    with pytest.raises(textgen.ModelFileError, match=message) as caught:
        pack(read_weights(parse(tiny_proto.SerializeToString())))
    assert not isinstance(caught.value, UnknownGraphError)
    with pytest.raises(textgen.ModelFileError, match=message):
        open_model(tiny_proto.SerializeToString())


def clip_the_gates(model: onnx.ModelProto) -> None:
    node(model, "LSTM").attribute.append(helper.make_attribute("clip", 0.5))


def run_backwards(model: onnx.ModelProto) -> None:
    node(model, "LSTM").attribute.append(helper.make_attribute("direction", "reverse"))


def scale_the_logits(model: onnx.ModelProto) -> None:
    node(model, "Add").output[0] = "unscaled"
    model.graph.initializer.append(numpy_helper.from_array(np.array(2, np.float32), "two"))
    model.graph.node.append(helper.make_node("Mul", ["unscaled", "two"], ["logits"]))


def add_a_node(model: onnx.ModelProto) -> None:
    model.graph.node.append(helper.make_node("Identity", ["logits"], ["again"]))


def newer_operators(model: onnx.ModelProto) -> None:
    model.opset_import[0].version = 18


def make_the_axes_by_a_node(model: onnx.ModelProto) -> None:
    axes = tensor(model, "direction_axis")
    model.graph.node.insert(0, helper.make_node("Constant", [], ["direction_axis"], value=axes))
    model.graph.initializer.remove(axes)


def leave_out_the_bias(model: onnx.ModelProto) -> None:
    node(model, "LSTM").input[3] = ""
    model.graph.initializer.remove(tensor(model, "bias_0"))


def share_a_weight(model: onnx.ModelProto) -> None:
    """With as many units as inputs, the recurrence's weights may stand for the input's too."""
    model.CopyFrom(make_model(units=3))
    node(model, "LSTM").input[1] = "recurrent_0"


@pytest.mark.parametrize(
    "change",
    [
        clip_the_gates,
        run_backwards,
        scale_the_logits,
        add_a_node,
        newer_operators,
        make_the_axes_by_a_node,
        leave_out_the_bias,
        share_a_weight,
    ],
)
def test_other_graphs_are_only_run_when_onnxruntime_is_asked_for(
    change: Damage, tiny_proto: onnx.ModelProto, monkeypatch: pytest.MonkeyPatch
) -> None:
    change(tiny_proto)
    content = tiny_proto.SerializeToString()
    with pytest.raises(UnknownGraphError):
        read_weights(parse(content))
    with monkeypatch.context() as without:
        without.delattr("onnxruntime.InferenceSession")
        for engine in ("auto", "native"):
            with pytest.raises(textgen.ModelFileError, match=r"if you trust the file, --engine onnxruntime"):
                open_model(content, engine)
    if change is run_backwards:
        return
    model = open_model(content, "onnxruntime")
    assert model.engine.name.startswith("onnxruntime")
    assert len(model.generate("abc", length=5, seed=1)) == 5


def test_unlike_graphs_give_unlike_texts(tiny_proto: onnx.ModelProto) -> None:
    """A graph that was taken for another would show here."""
    plain = open_model(tiny_proto.SerializeToString())
    scale_the_logits(tiny_proto)
    scaled = open_model(tiny_proto.SerializeToString(), "onnxruntime")
    texts = [model.generate("abc", length=200, temperature=1.0, seed=1) for model in (scaled, plain)]
    assert texts[0] != texts[1]


def test_typed_fields_are_read_too(tiny_proto: onnx.ModelProto, tiny: textgen.Model) -> None:
    """Weights may stand in float_data and int64_data instead of raw_data."""
    for each in tiny_proto.graph.initializer:
        values = numpy_helper.to_array(each)
        each.ClearField("raw_data")
        getattr(each, "int64_data" if values.dtype == np.int64 else "float_data").extend(values.ravel())
    model = open_model(tiny_proto.SerializeToString(), "native")
    assert model.generate("abc", length=50, seed=1) == tiny.generate("abc", length=50, seed=1)


@pytest.mark.parametrize("layers", [1, 2, 4])
def test_what_training_writes_is_known(layers: int) -> None:
    model = open_model(make_model(layers=layers).SerializeToString(), "native")
    assert model.engine.layers == layers
    assert isinstance(model.contract, Contract)


@pytest.mark.parametrize("layers", [1, 2])
def test_a_vocabulary_too_large_for_a_table(layers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its graph is checked, so onnxruntime may run it."""
    content = make_model(layers=layers).SerializeToString()
    native = open_model(content)
    monkeypatch.setattr("textgen_runtime.native_weights.LARGEST_TABLE_BYTES", 3071)
    with pytest.raises(TooLargeError, match="too large for the native engine"):
        pack(read_weights(parse(content)))
    with pytest.raises(
        textgen.ModelFileError, match=r"too large for the native engine.*: use --engine onnxr"
    ):
        open_model(content, "native")
    model = open_model(content)
    assert model.engine.name.startswith("onnxruntime")
    assert model.sha256 == native.sha256
    assert model.generate("abc", length=50, seed=1) == native.generate("abc", length=50, seed=1)


def test_sizes_are_checked_before_weights_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(make_model(layers=2).SerializeToString())
    monkeypatch.delattr(KnownGraph, "weights")
    monkeypatch.setattr("textgen_runtime.native_weights.LARGEST_TABLE_BYTES", 3071)
    with pytest.raises(textgen.ModelFileError, match="too large for the native engine"):
        textgen.load(path, engine="native")
    assert describe_file(path).engine == "onnxruntime"
    # Two layers of 4 units, padded to 16: 2 x 8 x (16 x 16 - 4 x 4) float32 values.
    for limit, message in ((15_360, "too large"), (15_359, "its 2 layers of 4 units would take many")):
        monkeypatch.setattr("textgen_runtime.native_weights.LARGEST_PADDING_BYTES", limit)
        with pytest.raises(textgen.ModelFileError, match=message):
            textgen.load(path, engine="native")
    with pytest.raises(textgen.ModelFileError, match="its 2 layers of 4 units would take many"):
        textgen.load(path)
    with pytest.raises(textgen.ModelFileError, match="its 2 layers of 4 units would take many"):
        describe_file(path)


def test_onnxruntime_gets_nothing_that_was_not_checked(
    tiny_proto: onnx.ModelProto, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the native engine's reader skips could mean something to onnxruntime, such as another Add."""
    clean = described_fields(parse(tiny_proto.SerializeToString()))
    onnx.checker.check_model(onnx.load_from_string(clean), full_check=True)
    node(tiny_proto, "LSTM").doc_string = "smuggled"
    node(tiny_proto, "LSTM").attribute[0].floats.append(1.0)
    tiny_proto.graph.value_info.append(helper.make_tensor_value_info("smuggled", TensorProto.FLOAT, [1]))
    tiny_proto.functions.append(
        helper.make_function(
            "",
            "Add",
            ["a", "b"],
            ["c"],
            [helper.make_node("Mul", ["a", "b"], ["c"])],
            tiny_proto.opset_import,
        )
    )
    content = tiny_proto.SerializeToString()
    assert described_fields(parse(content)) == clean
    given = []
    monkeypatch.setattr("textgen_runtime.native_weights.LARGEST_TABLE_BYTES", 3071)
    monkeypatch.setattr("textgen_runtime.onnx_engine.open_onnx", lambda model, _: given.append(model))
    with pytest.raises(TypeError):
        open_model(content)
    assert given == [clean]


def test_a_large_table_is_computed_in_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    """And the slices are together what they would be at once."""
    weights = read_weights(parse(make_model(layers=2).SerializeToString()))
    whole = pack(weights)
    monkeypatch.setattr("textgen_runtime.native_weights.SLICE_BYTES", 5 * 4 * 16 * 8)
    sliced = pack(weights)
    np.testing.assert_allclose(sliced.rows, whole.rows, rtol=1e-6)
    np.testing.assert_array_equal(sliced.output, whole.output)


@pytest.mark.parametrize(
    ("reader", "count"), [("auto", 3000), ("checked", 500), ("onnxruntime", 300), ("saved", 1500)]
)
def test_mutated_files_never_crash(reader: str, count: int, tiny_path: Path) -> None:
    """In a process of its own, where a crash would show; ``make fuzz`` tries many more."""
    script = Path(__file__).parent.parent / "benchmarks" / "mutate_models.py"
    command = [sys.executable, str(script), str(tiny_path), "--count", str(count), "--seed", "1"]
    done = subprocess.run([*command, "--reader", reader], capture_output=True, check=False, encoding="utf-8")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"{count} damaged files, {reader}: ")
    assert " ran" in done.stdout
