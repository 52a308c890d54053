"""Weights that are read from a model file are those of the file, to the bit."""

import numpy as np
import onnx
import pytest
import textgen_runtime as textgen
from textgen_runtime import ModelFileError
from textgen_runtime.model_file import Metadata, make_tokenizer, read_model
from textgen_train.export.exporter import build_checked
from textgen_train.export.layer_weights import load_weights
from textgen_train.export.model_weights import add_symbols, read_weights
from textgen_train.export.network import Cell, network_of
from textgen_train.export.quantized_graph import quantize_rows
from textgen_train.export.quantizer import quantize_model
from textgen_train.models.cells import CELLS, CharLSTM

METADATA = Metadata(make_tokenizer("character", "\n abcdefg"))


def graph_of(content: bytes) -> tuple[list[bytes], list[bytes]]:
    """Return the nodes and the weights of a model file. Older versions wrote the weights in another order."""
    graph = onnx.ModelProto.FromString(content).graph
    weights = sorted(tensor.SerializeToString() for tensor in graph.initializer)
    return [node.SerializeToString() for node in graph.node], weights


def exported_again(content: bytes) -> bytes:
    """Return a model file that was read into a network and exported again."""
    model = textgen.load(content)
    network, metadata = network_of(model.engine), model.metadata
    embedding, first, *others, _ = network.layers
    copied = CELLS[first.kind](
        network.vocabulary,
        units=first.outputs,
        layers=1 + len(others),
        embedding=embedding.outputs,
        residual=any(isinstance(layer, Cell) and layer.residual for layer in others),
    )
    load_weights(copied, read_weights(content))
    return build_checked(copied, metadata).content


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("layers", [1, 3])
def test_an_exported_network_is_read_to_the_bit(layers: int, residual: bool) -> None:
    network = CharLSTM(9, units=12, layers=layers, embedding=5, residual=residual)
    content = build_checked(network, METADATA).content
    assert exported_again(content) == content


def test_a_bundled_model_is_read_to_the_bit() -> None:
    content = read_model("nietzsche-float32")
    assert graph_of(exported_again(content)) == graph_of(content)


def test_8_bit_weights_are_read_as_float32_weights() -> None:
    content = build_checked(CharLSTM(9, units=12, layers=2, embedding=5), METADATA).content
    read = read_weights(quantize_model(content).content)
    for number, (expected, layer) in enumerate(zip(read_weights(content), read, strict=True)):
        assert set(layer) == set(expected)
        for name, array in layer.items():
            if "bias" not in name:
                expected_array = quantize_rows(expected[name], bounds_pairs=number > 0).values
                assert not np.array_equal(expected_array, expected[name])
            else:
                expected_array = expected[name]
            np.testing.assert_array_equal(array, expected_array)


def test_another_network_does_not_take_the_weights() -> None:
    weights = read_weights(build_checked(CharLSTM(9, units=12, embedding=5), METADATA).content)
    with pytest.raises(ValueError, match=r"weight must have shape \(9, 6\), not \(9, 5\)"):
        load_weights(CharLSTM(9, units=12, embedding=6), weights)
    with pytest.raises(ValueError, match="the network has 4 layers, but there are weights of 3"):
        load_weights(CharLSTM(9, units=12, embedding=5, layers=2), weights)


def test_a_graph_with_other_names_is_an_error() -> None:
    content = build_checked(CharLSTM(9, units=12, embedding=5), METADATA).content
    model = onnx.ModelProto.FromString(content)
    (tensor,) = (tensor for tensor in model.graph.initializer if tensor.name == "embedding")
    tensor.name = "table"
    model.graph.node[0].input[0] = "table"
    with pytest.raises(ModelFileError, match="not that of an LSTM network"):
        read_weights(model.SerializeToString())


def test_new_symbols_get_mean_rows_and_their_frequency() -> None:
    weights = read_weights(build_checked(CharLSTM(9, units=12, embedding=5), METADATA).content)
    counts = np.array([100] * 9 + [9, 0])
    extended = add_symbols(weights, counts)
    for layer, name in ((0, "weight"), (-1, "weight")):
        before, after = weights[layer][name], extended[layer][name]
        np.testing.assert_array_equal(after[:9], before)
        np.testing.assert_allclose(after[9:], [before.mean(axis=0)] * 2, rtol=1e-5, atol=1e-7)
    before, after = weights[-1]["bias"], extended[-1]["bias"]
    np.testing.assert_array_equal(after[:9], before)
    np.testing.assert_allclose(np.exp(after[9:]) / np.exp(before).sum(), [9.5 / 900, 0.5 / 900], rtol=1e-5)
    assert extended[1] is weights[1]
    load_weights(CharLSTM(11, units=12, embedding=5), extended)
