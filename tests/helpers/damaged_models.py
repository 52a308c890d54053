"""Changes to the tiny model, with the error message of the reader for each."""

from collections.abc import Callable

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests.helpers.make_tiny_model import make_model

Damage = Callable[[onnx.ModelProto], None]


def tensor(model: onnx.ModelProto, name: str) -> TensorProto:
    return next(initializer for initializer in model.graph.initializer if initializer.name == name)


def node(model: onnx.ModelProto, kind: str) -> onnx.NodeProto:
    return next(node for node in model.graph.node if node.op_type == kind)


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
    def damage(model: onnx.ModelProto) -> None:
        tensor(model, name).CopyFrom(numpy_helper.from_array(np.asarray(values, np.float32), name))

    return damage


def drop_tensor(name: str) -> Damage:
    return lambda model: model.graph.initializer.remove(tensor(model, name))


def repeat_tensor(model: onnx.ModelProto) -> None:
    model.graph.initializer.append(tensor(model, "embedding"))


def produce_twice(model: onnx.ModelProto) -> None:
    model.graph.node.append(helper.make_node("Gather", ["embedding", "token"], ["embedded"]))


def add_a_cycle(model: onnx.ModelProto) -> None:
    node(model, "LSTM").input[0] = node(model, "Squeeze").output[0]


def rename_output(model: onnx.ModelProto) -> None:
    model.graph.output[0].name = model.graph.node[-1].output[0] = "other_logits"


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


# Damaged models, each with a pattern of its error message.
DAMAGED: list[tuple[Damage, str]] = [
    (drop_tensor("embedding"), "'embedding' are missing"),
    (drop_tensor("recurrent_0"), "'recurrent_0' are missing"),
    (drop_tensor("direction_axis"), "'direction_axis' are missing"),
    (repeat_tensor, "'embedding' are stored twice"),
    (produce_twice, "'embedded' has two producers"),
    (add_a_cycle, "cycle"),
    (set_tensor("embedding", raw_data=b""), "have 0 bytes"),
    (set_tensor("embedding", raw_data=b"123"), "have 3 bytes"),
    (set_tensor("embedding", float_data=[1.0]), "does not match their shape"),
    (set_tensor("embedding", dims=[12, 2**60]), "does not match their shape"),
    (set_tensor("embedding", dims=[2**62, 2**62]), "does not match their shape"),
    (set_tensor("embedding", dims=[-12, -3]), "shape"),
    (set_tensor("embedding", dims=[0, 3]), "shape"),
    (set_tensor("embedding", dims=[36]), "2 dimensions"),
    (set_tensor("embedding", dims=[1] * 40), r"shape \[1(, 1){7}\]; expected type 1 and 2 dimensions"),
    (set_tensor("embedding", dims=[9, 4]), "different vocabulary sizes|shapes"),
    (set_tensor("embedding", data_type=TensorProto.DOUBLE), "type 11"),
    (set_tensor("direction_axis", data_type=TensorProto.INT32), "type 6"),
    (set_tensor("output_bias", data_location=TensorProto.EXTERNAL), "in another file"),
    (set_values("output_bias", np.zeros(11)), "different vocabulary sizes"),
    (set_values("bias_0", np.zeros((2, 16))), "several directions"),
    (set_values("bias_0", np.zeros((1, 31))), "shapes"),
    (set_values("recurrent_0", np.zeros((1, 16, 5))), "shapes"),
    (set_values("input_0", np.full((1, 16, 3), np.inf)), "NaN or infinity"),
]


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


def raise_the_opset(model: onnx.ModelProto) -> None:
    model.opset_import[0].version = 18


def compute_the_axes(model: onnx.ModelProto) -> None:
    axes = tensor(model, "direction_axis")
    model.graph.node.insert(0, helper.make_node("Constant", [], ["direction_axis"], value=axes))
    model.graph.initializer.remove(axes)


def remove_the_bias(model: onnx.ModelProto) -> None:
    node(model, "LSTM").input[3] = ""
    model.graph.initializer.remove(tensor(model, "bias_0"))


def share_a_weight(model: onnx.ModelProto) -> None:
    """If the numbers of units and inputs are equal, one matrix can serve as both weights."""
    model.CopyFrom(make_model(units=3))
    node(model, "LSTM").input[1] = "recurrent_0"


DECLARED = "the declared types or shapes of the graph inputs do not match the weights"

# Graphs that the core does not know, each with a part of its message. onnxruntime runs most of them.
OTHER_GRAPHS: list[tuple[Damage, str]] = [
    (clip_the_gates, "unexpected inputs or attributes of a LSTM node"),
    (run_backwards, "unexpected inputs or attributes of a LSTM node"),
    (scale_the_logits, "the value 'logits' is not the output of a Add node"),
    (add_a_node, "the graph has unexpected nodes"),
    (raise_the_opset, "the operator set is '', version 18; expected '' (the ONNX default), version 17"),
    (compute_the_axes, "the weights 'direction_axis' are not an initializer"),
    (remove_the_bias, "the weights '' are not an initializer"),
    (share_a_weight, "several layers share weights"),
    (rename_output, "unexpected graph outputs; expected logits and the next value of each state input"),
    (tokens_of_another_type, DECLARED),
    (state_of_unknown_size, DECLARED),
    (state_of_another_size, DECLARED),
    (state_of_two_dimensions, DECLARED),
]
