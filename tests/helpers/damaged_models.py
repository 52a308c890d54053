"""Changes to a model, with the error code and the part that the reader names."""

from collections.abc import Callable, Iterator
from typing import Any

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


def set_tensor(name: str, /, **fields: object) -> Damage:
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


def store_in_a_list(name: str, field: str) -> Damage:
    """Return a change that stores the values of a tensor in a typed field."""

    def change(model: onnx.ModelProto) -> None:
        values = numpy_helper.to_array(tensor(model, name))
        getattr(tensor(model, name), field).extend(values.ravel().tolist())
        tensor(model, name).ClearField("raw_data")

    return change


def tokens_of_another_type(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.INT32


def state_of_unknown_size(model: onnx.ModelProto) -> None:
    for value in (*model.graph.input[1:], *model.graph.output[1:]):
        value.type.tensor_type.shape.dim[2].dim_param = "units"


def state_of_another_size(model: onnx.ModelProto) -> None:
    for value in (*model.graph.input[1:], *model.graph.output[1:]):
        value.type.tensor_type.shape.dim[2].dim_value = 5


def state_of_two_dimensions(model: onnx.ModelProto) -> None:
    del model.graph.input[1].type.tensor_type.shape.dim[2]


def clip_the_gates(model: onnx.ModelProto) -> None:
    node(model, "LSTM").attribute.append(helper.make_attribute("clip", 0.5))


def scale_the_logits(model: onnx.ModelProto) -> None:
    node(model, "add_bias").output[0] = "unscaled"
    model.graph.initializer.append(numpy_helper.from_array(np.array(2, np.float32), "two"))
    model.graph.node.append(helper.make_node("Mul", ["unscaled", "two"], ["logits"]))


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


def changes(message: Any) -> Iterator[None]:
    """Change one field of a message or of its parts after the other, and yield during each change.

    A part of a list is left out, repeated, or swapped with the next one. Tensors and metadata stay.
    """
    for field, value in message.ListFields():
        if field.name in ("initializer", "metadata_props", "ir_version", "producer_name"):
            continue
        if field.is_repeated:
            items = list(getattr(type(message).FromString(message.SerializeToString()), field.name))
            others = [items[:i] + items[i + 1 :] for i in range(len(items))]
            others += [[*items, item] for item in items]
            others += [[*items[:i], items[i + 1], items[i], *items[i + 2 :]] for i in range(len(items) - 1)]
            if field.type == field.TYPE_STRING:
                others += [[*items[:i], "other", *items[i + 1 :]] for i in range(len(items))]
            for changed in others:
                if changed != items:
                    del value[:]
                    value.extend(changed)
                    yield
            del value[:]
            value.extend(items)
        elif field.type != field.TYPE_MESSAGE:
            other = {field.TYPE_STRING: "other", field.TYPE_BYTES: b"other"}.get(field.type)
            setattr(message, field.name, other or value + 1)
            yield
            setattr(message, field.name, value)
        if field.type == field.TYPE_MESSAGE:
            for part in value if field.is_repeated else [value]:
                yield from changes(part)


GRAPH = "that of an LSTM"
# Of a model of three layers with residual connections, 3 inputs and 4 units.
DAMAGED: list[tuple[Damage, int, str]] = [
    *(
        (change, DAMAGED_MODEL, "'embedding'")
        for change in (
            set_tensor("embedding", raw_data=b""),
            set_tensor("embedding", raw_data=bytes(143)),
            set_tensor("embedding", raw_data=bytes(145)),
            set_tensor("embedding", dims=[12, 2**60]),
            set_tensor("embedding", dims=[12, 3, 1]),
            set_tensor("embedding", data_type=TensorProto.DOUBLE),
        )
    ),
    *(
        (change, UNKNOWN_GRAPH, GRAPH)
        for change in (
            set_tensor("embedding", dims=[2**62, 2**62]),
            set_tensor("embedding", dims=[-12, -3]),
            set_tensor("embedding", dims=[0, 3], raw_data=b""),
            set_tensor("embedding", dims=[36]),
            set_tensor("embedding", dims=[1] * 40),
            set_tensor("embedding", dims=[9, 4]),
            set_values("recurrent_0", np.zeros((1, 16, 5))),
            drop_the_layers,
            scale_the_logits,
            clip_the_gates,
            lambda model: model.graph.initializer.append(numpy_helper.from_array(np.zeros(1), "unused")),
            lambda model: model.graph.initializer.remove(tensor(model, "output_bias")),
            lambda model: model.graph.initializer.remove(tensor(model, "recurrent_2")),
            lambda model: model.graph.sparse_initializer.add(),
        )
    ),
    (set_tensor("recurrent_2", name="other"), DAMAGED_MODEL, "'recurrent_2'"),
    (set_tensor("input_2", name="input_1"), DAMAGED_MODEL, "'input_2'"),
    *(
        (change, DAMAGED_MODEL, "'direction_axis'")
        for change in (
            set_tensor("direction_axis", data_type=TensorProto.INT32),
            set_array("direction_axis", np.array([0])),
            set_array("direction_axis", np.array([1, 1])),
            store_in_a_list("direction_axis", "int64_data"),
        )
    ),
    *(
        (change, DAMAGED_MODEL, "'output_bias'")
        for change in (
            set_tensor("output_bias", data_location=TensorProto.EXTERNAL),
            store_in_a_list("output_bias", "float_data"),
            set_tensor("output_bias", float_data=[1.0]),
            set_values("output_bias", np.zeros(11)),
        )
    ),
    *(
        (set_values(name, values), DAMAGED_MODEL, f"'{name}'")
        for name, values in (
            ("bias_0", np.zeros((2, 16))),
            ("bias_2", np.zeros((1, 31))),
            ("recurrent_1", np.zeros((1, 16, 5))),
            ("input_0", np.full((1, 16, 3), np.inf)),
            ("output_weights", np.full((4, 12), np.nan)),
        )
    ),
]


def store_as_float32(model: onnx.ModelProto) -> None:
    """Store one weight with 32 bits."""
    model.graph.node.remove(node(model, "input_1_dequantize"))
    weight = numpy_helper.from_array(np.ones((1, 80, 20), np.float32), "input_1")
    tensor(model, "input_1_int8").CopyFrom(weight)
    model.graph.initializer.remove(tensor(model, "input_1_scale"))


# Of a model of two layers with 8-bit weights, 12 inputs and 20 units.
DAMAGED_INT8: list[tuple[Damage, int, str]] = [
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
    (set_tensor("input_0_int8", raw_data=b"12"), DAMAGED_MODEL, "'input_0_int8'"),
    (store_in_a_list("input_0_int8", "int32_data"), DAMAGED_MODEL, "'input_0_int8'"),
    (lambda model: model.graph.initializer.remove(tensor(model, "input_0_scale")), UNKNOWN_GRAPH, GRAPH),
    (set_array("embedding_int8", np.zeros((11, 12), np.int8)), UNKNOWN_GRAPH, GRAPH),
    (store_as_float32, UNKNOWN_GRAPH, GRAPH),
]
