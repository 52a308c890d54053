"""Changes to a model, with the error code and the part that the reader names."""

from collections.abc import Callable

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests.helpers.core_reader import DAMAGED_MODEL, UNKNOWN_GRAPH

Damage = Callable[[onnx.ModelProto], object]


def tensor(model: onnx.ModelProto, name: str) -> TensorProto:
    return next(initializer for initializer in model.graph.initializer if initializer.name == name)


def node(model: onnx.ModelProto, kind: str) -> onnx.NodeProto:
    """Return the first node of a type, or with a name."""
    return next(node for node in model.graph.node if kind in (node.op_type, node.name))


def set_tensor(name: str, **fields: object) -> Damage:
    """Return a change that sets fields of a tensor. A list replaces the existing list."""

    def damage(model: onnx.ModelProto) -> None:
        for field, value in fields.items():
            if isinstance(value, list):
                del getattr(tensor(model, name), field)[:]
                getattr(tensor(model, name), field).extend(value)
            else:
                setattr(tensor(model, name), field, value)

    return damage


def set_values(name: str, values: object) -> Damage:
    return set_array(name, np.asarray(values, np.float32))


def set_array(name: str, array: np.ndarray) -> Damage:
    return lambda model: tensor(model, name).CopyFrom(numpy_helper.from_array(array, name))


def drop_tensor(name: str) -> Damage:
    return lambda model: model.graph.initializer.remove(tensor(model, name))


def add_tensor(name: str) -> Damage:
    return lambda model: model.graph.initializer.append(numpy_helper.from_array(np.zeros(1), name))


def rename_tensor(name: str, other: str) -> Damage:
    return lambda model: setattr(tensor(model, name), "name", other)


def set_input(name: str, index: int, value: str) -> Damage:
    def change(model: onnx.ModelProto) -> None:
        node(model, name).input[index] = value

    return change


def swap_inputs(name: str, index: int, other: str, other_index: int) -> Damage:
    def change(model: onnx.ModelProto) -> None:
        one, two = node(model, name).input, node(model, other).input
        one[index], two[other_index] = two[other_index], one[index]

    return change


def set_output(name: str, index: int, value: str) -> Damage:
    def change(model: onnx.ModelProto) -> None:
        node(model, name).output[index] = value

    return change


def set_node(name: str, field: str, value: str) -> Damage:
    return lambda model: setattr(node(model, name), field, value)


def set_attribute(name: str, attribute: str, value: object) -> Damage:
    """Set, add or, with None, remove an attribute."""

    def change(model: onnx.ModelProto) -> None:
        attributes = node(model, name).attribute
        kept = [each for each in attributes if each.name != attribute]
        del attributes[:]
        attributes.extend(kept + ([] if value is None else [helper.make_attribute(attribute, value)]))

    return change


def add_node(kind: str, inputs: list[str], outputs: list[str], place: int | None = None) -> Damage:
    def change(model: onnx.ModelProto) -> None:
        index = len(model.graph.node) if place is None else place
        model.graph.node.insert(index, helper.make_node(kind, inputs, outputs))

    return change


def drop_node(name: str) -> Damage:
    return lambda model: model.graph.node.remove(node(model, name))


def move_node(name: str, place: int) -> Damage:
    def change(model: onnx.ModelProto) -> None:
        moved = onnx.NodeProto()
        moved.CopyFrom(node(model, name))
        model.graph.node.remove(node(model, name))
        model.graph.node.insert(place, moved)

    return change


def declare(index: int, dimension: int, value: int | str, *, output: bool = False) -> Damage:
    def change(model: onnx.ModelProto) -> None:
        declared = (model.graph.output if output else model.graph.input)[index].type.tensor_type.shape
        field = "dim_param" if isinstance(value, str) else "dim_value"
        setattr(declared.dim[dimension], field, value)

    return change


def declare_type(index: int, value: int, *, output: bool = False) -> Damage:
    def change(model: onnx.ModelProto) -> None:
        declared = (model.graph.output if output else model.graph.input)[index]
        declared.type.tensor_type.elem_type = value

    return change


def set_opset(field: str, value: object) -> Damage:
    return lambda model: setattr(model.opset_import[0], field, value)


def tokens_of_another_type(model: onnx.ModelProto) -> None:
    declare_type(0, TensorProto.INT32)(model)


def state_of_unknown_size(model: onnx.ModelProto) -> None:
    for value in (*model.graph.input[1:], *model.graph.output[1:]):
        value.type.tensor_type.shape.dim[2].dim_param = "units"


def state_of_another_size(model: onnx.ModelProto) -> None:
    for value in (*model.graph.input[1:], *model.graph.output[1:]):
        value.type.tensor_type.shape.dim[2].dim_value = 5


def state_of_two_dimensions(model: onnx.ModelProto) -> None:
    del model.graph.input[1].type.tensor_type.shape.dim[2]


def clip_the_gates(model: onnx.ModelProto) -> None:
    set_attribute("LSTM", "clip", 0.5)(model)


def scale_the_logits(model: onnx.ModelProto) -> None:
    node(model, "add_bias").output[0] = "unscaled"
    model.graph.initializer.append(numpy_helper.from_array(np.array(2, np.float32), "two"))
    model.graph.node.append(helper.make_node("Mul", ["unscaled", "two"], ["logits"]))


def rename_the_logits(model: onnx.ModelProto) -> None:
    model.graph.output[0].name = "other"


def add_an_input(model: onnx.ModelProto) -> None:
    value = helper.make_tensor_value_info("more", TensorProto.FLOAT, [1, "batch", 4])
    model.graph.input.append(value)
    value.name = "next_more"
    model.graph.output.append(value)


def drop_the_layers(model: onnx.ModelProto) -> None:
    """Leave a graph that has the names of an LSTM's, and no layer."""
    kept = {"embedding", "direction_axis", "output_bias"}
    tensors = [each for each in model.graph.initializer if each.name in kept]
    weights = numpy_helper.from_array(np.ones((3, 12), np.float32), "output_weights")
    nodes = [node(model, name) for name in ("embed", "output", "add_bias")]
    nodes[1].input[0] = "embedded"
    del model.graph.initializer[:], model.graph.node[:]
    model.graph.initializer.extend([*tensors, weights])
    model.graph.node.extend(nodes)
    for value in (*model.graph.input[1:], *model.graph.output[1:]):
        del value.type.tensor_type.shape.dim[2:]
        value.type.tensor_type.shape.dim[0].dim_value = 0


def compute_the_axis(model: onnx.ModelProto) -> None:
    axis = tensor(model, "direction_axis")
    model.graph.node.insert(0, helper.make_node("Constant", [], ["direction_axis"], value=axis))
    model.graph.initializer.remove(axis)


def store_in_a_list(name: str, field: str) -> Damage:
    """Return a change that stores the values of a tensor in a typed field."""

    def change(model: onnx.ModelProto) -> None:
        values = numpy_helper.to_array(tensor(model, name))
        getattr(tensor(model, name), field).extend(values.ravel().tolist())
        tensor(model, name).ClearField("raw_data")

    return change


# Of a model of three layers with residual connections, 3 inputs and 4 units.
DAMAGED: list[tuple[Damage, int, str]] = [
    *(
        (drop_tensor(name), UNKNOWN_GRAPH, "that of an LSTM")
        for name in ("embedding", "recurrent_2", "output_bias", "direction_axis")
    ),
    (rename_tensor("recurrent_2", "other"), DAMAGED_MODEL, "'recurrent_2'"),
    (rename_tensor("input_2", "input_1"), DAMAGED_MODEL, "'input_2'"),
    (set_tensor("embedding", raw_data=b""), DAMAGED_MODEL, "'embedding'"),
    (set_tensor("embedding", raw_data=bytes(143)), DAMAGED_MODEL, "'embedding'"),
    (set_tensor("embedding", raw_data=bytes(145)), DAMAGED_MODEL, "'embedding'"),
    (set_tensor("embedding", dims=[12, 2**60]), DAMAGED_MODEL, "'embedding'"),
    (set_tensor("embedding", dims=[2**62, 2**62]), UNKNOWN_GRAPH, "that of an LSTM"),
    (set_tensor("embedding", dims=[-12, -3]), UNKNOWN_GRAPH, "that of an LSTM"),
    (set_tensor("embedding", dims=[0, 3], raw_data=b""), UNKNOWN_GRAPH, "that of an LSTM"),
    (set_tensor("embedding", dims=[36]), UNKNOWN_GRAPH, "that of an LSTM"),
    (set_tensor("embedding", dims=[12, 3, 1]), DAMAGED_MODEL, "'embedding'"),
    (set_tensor("embedding", dims=[1] * 40), UNKNOWN_GRAPH, "that of an LSTM"),
    (set_tensor("embedding", dims=[9, 4]), UNKNOWN_GRAPH, "that of an LSTM"),
    (set_tensor("embedding", data_type=TensorProto.DOUBLE), DAMAGED_MODEL, "'embedding'"),
    (set_tensor("direction_axis", data_type=TensorProto.INT32), DAMAGED_MODEL, "'direction_axis'"),
    (set_array("direction_axis", np.array([0])), DAMAGED_MODEL, "'direction_axis'"),
    (set_array("direction_axis", np.array([1, 1])), DAMAGED_MODEL, "'direction_axis'"),
    (set_tensor("output_bias", data_location=TensorProto.EXTERNAL), DAMAGED_MODEL, "'output_bias'"),
    (store_in_a_list("output_bias", "float_data"), DAMAGED_MODEL, "'output_bias'"),
    (store_in_a_list("direction_axis", "int64_data"), DAMAGED_MODEL, "'direction_axis'"),
    (set_tensor("output_bias", float_data=[1.0]), DAMAGED_MODEL, "'output_bias'"),
    (set_values("output_bias", np.zeros(11)), DAMAGED_MODEL, "'output_bias'"),
    (set_values("bias_0", np.zeros((2, 16))), DAMAGED_MODEL, "'bias_0'"),
    (set_values("bias_2", np.zeros((1, 31))), DAMAGED_MODEL, "'bias_2'"),
    (set_values("recurrent_0", np.zeros((1, 16, 5))), UNKNOWN_GRAPH, "that of an LSTM"),
    (set_values("recurrent_1", np.zeros((1, 16, 5))), DAMAGED_MODEL, "'recurrent_1'"),
    (set_values("input_0", np.full((1, 16, 3), np.inf)), DAMAGED_MODEL, "'input_0'"),
    (set_values("output_weights", np.full((4, 12), np.nan)), DAMAGED_MODEL, "'output_weights'"),
    (clip_the_gates, UNKNOWN_GRAPH, "that of an LSTM"),
    (set_attribute("lstm_0", "direction", "reverse"), UNKNOWN_GRAPH, "that of an LSTM"),
    (set_attribute("lstm_1", "hidden_size", 5), UNKNOWN_GRAPH, "that of an LSTM"),
    (set_attribute("lstm_1", "hidden_size", None), UNKNOWN_GRAPH, "that of an LSTM"),
    (
        lambda model: setattr(node(model, "lstm_1").attribute[0], "name", "other"),
        UNKNOWN_GRAPH,
        "that of an LSTM",
    ),
    (set_attribute("embed", "axis", 1), UNKNOWN_GRAPH, "that of an LSTM"),
    (set_attribute("split_cell", "axis", 2), UNKNOWN_GRAPH, "that of an LSTM"),
    (set_attribute("join_cell", "axis", None), UNKNOWN_GRAPH, "that of an LSTM"),
    (set_input("lstm_1", 4, "lengths"), UNKNOWN_GRAPH, "that of an LSTM"),
    (set_input("lstm_1", 3, ""), UNKNOWN_GRAPH, "that of an LSTM"),
    (set_input("lstm_1", 1, "recurrent_1"), UNKNOWN_GRAPH, "that of an LSTM"),
    (set_input("lstm_2", 0, "output_1"), UNKNOWN_GRAPH, "that of an LSTM"),
    (set_input("residual_2", 1, "output_0"), UNKNOWN_GRAPH, "that of an LSTM"),
    (set_input("output", 0, "output_2"), UNKNOWN_GRAPH, "that of an LSTM"),
    (swap_inputs("lstm_1", 5, "lstm_1", 6), UNKNOWN_GRAPH, "that of an LSTM"),
    (swap_inputs("residual_1", 0, "residual_1", 1), UNKNOWN_GRAPH, "that of an LSTM"),
    (swap_inputs("join_cell", 0, "join_cell", 1), UNKNOWN_GRAPH, "that of an LSTM"),
    (swap_inputs("split_hidden", 0, "split_cell", 0), UNKNOWN_GRAPH, "that of an LSTM"),
    (lambda model: node(model, "lstm_1").input.append("peepholes"), UNKNOWN_GRAPH, "that of an LSTM"),
    (lambda model: node(model, "lstm_1").output.pop(), UNKNOWN_GRAPH, "that of an LSTM"),
    (lambda model: node(model, "split_cell").output.append("more"), UNKNOWN_GRAPH, "that of an LSTM"),
    (lambda model: node(model, "join_cell").input.pop(), UNKNOWN_GRAPH, "that of an LSTM"),
    (set_output("squeeze_1", 0, "other"), UNKNOWN_GRAPH, "that of an LSTM"),
    (set_output("split_hidden", 1, "hidden_2"), UNKNOWN_GRAPH, "that of an LSTM"),
    (set_node("lstm_1", "domain", "com.example"), UNKNOWN_GRAPH, "that of an LSTM"),
    (set_node("squeeze_0", "op_type", "Unsqueeze"), UNKNOWN_GRAPH, "that of an LSTM"),
    (set_node("lstm_2", "op_type", "GRU"), UNKNOWN_GRAPH, "that of an LSTM"),
    (add_node("Identity", ["logits"], ["again"]), UNKNOWN_GRAPH, "that of an LSTM"),
    (add_node("Gather", ["embedding", "token"], ["embedded"]), UNKNOWN_GRAPH, "that of an LSTM"),
    (drop_node("join_cell"), UNKNOWN_GRAPH, "that of an LSTM"),
    (drop_node("residual_1"), UNKNOWN_GRAPH, "that of an LSTM"),
    (move_node("join_cell", 0), UNKNOWN_GRAPH, "that of an LSTM"),
    (drop_the_layers, UNKNOWN_GRAPH, "that of an LSTM"),
    (compute_the_axis, UNKNOWN_GRAPH, "that of an LSTM"),
    (scale_the_logits, UNKNOWN_GRAPH, "that of an LSTM"),
    (add_tensor("unused"), UNKNOWN_GRAPH, "that of an LSTM"),
    (set_opset("version", 18), UNKNOWN_GRAPH, "that of an LSTM"),
    (set_opset("domain", "com.example"), UNKNOWN_GRAPH, "that of an LSTM"),
    (lambda model: model.opset_import.add(domain="", version=17), UNKNOWN_GRAPH, "that of an LSTM"),
    (lambda model: model.graph.sparse_initializer.add(), UNKNOWN_GRAPH, "that of an LSTM"),
    *(
        (change, UNKNOWN_GRAPH, "that of an LSTM")
        for change in (
            rename_the_logits,
            add_an_input,
            tokens_of_another_type,
            state_of_unknown_size,
            state_of_another_size,
            state_of_two_dimensions,
            declare(0, 0, 1),
            declare(1, 1, 2),
            declare(2, 0, 2),
            declare(0, 2, 11, output=True),
            declare(1, 2, "units", output=True),
            declare(2, 0, 4, output=True),
            declare_type(2, TensorProto.DOUBLE),
            declare_type(0, TensorProto.DOUBLE, output=True),
            lambda model: model.graph.output.pop(),
        )
    ),
]


def add_a_zero_point(model: onnx.ModelProto) -> None:
    model.graph.initializer.append(numpy_helper.from_array(np.zeros(80, np.int8), "zero"))
    node(model, "input_0_dequantize").input.append("zero")


def store_as_float32(model: onnx.ModelProto) -> None:
    """Store one weight with 32 bits."""
    drop_node("input_1_dequantize")(model)
    tensor(model, "input_1_int8").CopyFrom(
        numpy_helper.from_array(np.ones((1, 80, 20), np.float32), "input_1")
    )
    model.graph.initializer.remove(tensor(model, "input_1_scale"))


# Of a model of two layers with 8-bit weights, 12 inputs and 20 units.
DAMAGED_INT8: list[tuple[Damage, int, str]] = [
    (drop_tensor("embedding_int8"), UNKNOWN_GRAPH, "that of an LSTM"),
    (drop_tensor("input_0_scale"), UNKNOWN_GRAPH, "that of an LSTM"),
    *(
        (set_array(name, array), DAMAGED_MODEL, f"'{name}'")
        for name, array in (
            ("recurrent_0_scale", np.ones(79, np.float32)),
            ("embedding_scale", np.ones(20, np.float32)),
            ("output_weights_scale", np.ones(20, np.float32)),
            ("input_0_scale", np.array(1, np.float32)),
            ("input_0_scale", np.ones(80)),
            ("input_0_int8", np.zeros((1, 80, 12), np.uint8)),
            ("input_0_int8", np.zeros((1, 80, 12), np.float32)),
            ("input_1_int8", np.zeros((1, 79, 20), np.int8)),
        )
    ),
    (set_array("embedding_int8", np.zeros((11, 12), np.int8)), UNKNOWN_GRAPH, "that of an LSTM"),
    (set_tensor("input_0_int8", raw_data=b"12"), DAMAGED_MODEL, "'input_0_int8'"),
    (store_in_a_list("input_0_int8", "int32_data"), DAMAGED_MODEL, "'input_0_int8'"),
    (add_a_zero_point, UNKNOWN_GRAPH, "that of an LSTM"),
    (set_attribute("recurrent_0_dequantize", "axis", 2), UNKNOWN_GRAPH, "that of an LSTM"),
    (set_attribute("embedding_dequantize", "axis", None), UNKNOWN_GRAPH, "that of an LSTM"),
    (set_attribute("embedding_dequantize", "axis", 1), UNKNOWN_GRAPH, "that of an LSTM"),
    (set_input("input_0_dequantize", 1, ""), UNKNOWN_GRAPH, "that of an LSTM"),
    (set_input("recurrent_0_dequantize", 1, "input_0_scale"), UNKNOWN_GRAPH, "that of an LSTM"),
    (set_input("recurrent_0_dequantize", 0, "recurrent_1_int8"), UNKNOWN_GRAPH, "that of an LSTM"),
    (add_node("DequantizeLinear", ["bias_0", "scale"], ["again"], 6), UNKNOWN_GRAPH, "that of an LSTM"),
    (drop_node("output_weights_dequantize"), UNKNOWN_GRAPH, "that of an LSTM"),
    (store_as_float32, UNKNOWN_GRAPH, "that of an LSTM"),
    (add_tensor("unused"), UNKNOWN_GRAPH, "that of an LSTM"),
]
