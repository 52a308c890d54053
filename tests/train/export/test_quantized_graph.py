"""8-bit weights in the graph: only the weights change, and onnxruntime computes what they stand for."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, numpy_helper
from textgen_runtime.onnxruntime import OnnxEngine
from textgen_train.export.quantized_graph import dequantized_arrays, is_quantized, quantize_graph

from tests.helpers.make_tiny_model import make_model

NETWORKS = pytest.mark.parametrize(
    ("layers", "residual"),
    [(1, False), (2, False), (3, True)],
)


def quantized(model: onnx.ModelProto) -> onnx.ModelProto:
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    quantize_graph(changed.graph)
    return changed


def tensors(graph: onnx.GraphProto) -> dict[str, TensorProto]:
    return {tensor.name: tensor for tensor in graph.initializer}


@NETWORKS
def test_only_the_weights_of_the_matrices_change_and_each_output_has_a_scale(
    layers: int, residual: bool
) -> None:
    model = make_model(layers=layers, residual=residual, units=6, embedding=3)
    changed = quantized(model)
    onnx.checker.check_model(changed, full_check=True)
    matrices = ["embedding"]
    for i in range(layers):
        matrices += [f"input_{i}", f"recurrent_{i}"]
    matrices.append("output_weights")
    nodes, others = changed.graph.node[: len(matrices)], changed.graph.node[len(matrices) :]
    assert [(node.op_type, node.name, list(node.input), list(node.output)) for node in nodes] == [
        ("DequantizeLinear", f"{name}_dequantize", [f"{name}_int8", f"{name}_scale"], [name])
        for name in matrices
    ]
    assert list(others) == list(model.graph.node)
    before, after = tensors(model.graph), tensors(changed.graph)
    assert set(after) == {*before} - {*matrices} | {
        f"{name}_{part}" for name in matrices for part in ("int8", "scale")
    }
    for name in matrices:
        assert after[f"{name}_int8"].data_type == TensorProto.INT8
        assert after[f"{name}_scale"].data_type == TensorProto.FLOAT
        assert after[f"{name}_int8"].dims == before[name].dims
    # Each output of a matrix has a scale. The rows of an embedding are its outputs.
    for name, node in zip(matrices, nodes, strict=True):
        axis = 0 if name == "embedding" else 1
        assert [attribute.i for attribute in node.attribute] == [axis]
        assert list(after[f"{name}_scale"].dims) == [before[name].dims[axis]]
    assert all(after[name] == before[name] for name in {*before} - {*matrices})
    assert (changed.graph.input, changed.graph.output) == (model.graph.input, model.graph.output)


@NETWORKS
def test_pairs_are_neighboring_inputs_of_one_output(layers: int, residual: bool) -> None:
    """Equal weights exceed the bound of a pair, unless their scale is that of the pair."""
    model = make_model(layers=layers, residual=residual, units=6, embedding=4)
    for tensor in model.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT:
            ones = np.ones(tuple(tensor.dims), np.float32)
            tensor.CopyFrom(numpy_helper.from_array(ones, tensor.name))
    for name, tensor in tensors(quantized(model).graph).items():
        if name.endswith("_int8"):
            # The rows of an embedding are not multiplied.
            assert (numpy_helper.to_array(tensor) == (127 if name == "embedding_int8" else 64)).all()


@NETWORKS
def test_onnxruntime_runs_the_weights_that_the_graph_stands_for(layers: int, residual: bool) -> None:
    model = make_model(layers=layers, residual=residual, units=16, embedding=8, scale=0.3)
    changed = quantized(model)
    for name, array in dequantized_arrays(changed.graph).items():
        before = tensors(model.graph)[name]
        values = numpy_helper.to_array(before)
        assert np.abs(array - values).max() <= np.abs(values).max() / 120
        before.CopyFrom(numpy_helper.from_array(array, name))
    tokens = np.random.default_rng(1).integers(12, size=(50, 2))
    expected, actual = (OnnxEngine(proto.SerializeToString()) for proto in (model, changed))
    state = expected.initial_state(2)
    np.testing.assert_allclose(
        actual.forward(tokens, state)[0], expected.forward(tokens, state)[0], atol=1e-5
    )


def test_a_graph_states_whether_its_weights_have_8_bits() -> None:
    model = make_model()
    assert not is_quantized(model.graph)
    assert is_quantized(quantized(model).graph)
