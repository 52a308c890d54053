"""A network description is built from layers and checked."""

import numpy as np
import pytest
from textgen_runtime.model_file import Metadata, make_tokenizer
from textgen_train.export.network import GRU, LSTM, Conv, Embedding, Linear, Network
from textgen_train.export.onnx_graph import build_model

from tests.helpers.make_tiny_model import describe_network, random_network


def test_the_state_arrays_follow_from_the_layers() -> None:
    network = describe_network(12, embedding=3, units=5, layers=2)
    assert network.layers == (
        Embedding("embed", 12, 3),
        LSTM("lstm_0", 3, 5),
        LSTM("lstm_1", 5, 5),
        Linear("output", 5, 12),
    )
    assert network.state == {"hidden": (2, 5), "cell": (2, 5)}
    assert network.vocabulary == 12


def test_a_gru_has_no_cell_state() -> None:
    network = describe_network(12, cell="gru", embedding=3, units=5, layers=2, residual=True)
    assert network.layers[1:-1] == (GRU("gru_0", 3, 5), GRU("gru_1", 5, 5, residual=True))
    assert network.state == {"hidden": (2, 5)}


def test_each_convolution_has_an_array_of_its_last_inputs() -> None:
    network = describe_network(12, cell="conv", embedding=3, units=5, layers=3)
    assert network.layers[1:-1] == (
        Conv("conv_0", 3, 5, dilation=1),
        Conv("conv_1", 5, 5, dilation=2),
        Conv("conv_2", 5, 5, dilation=4),
    )
    assert network.state == {"inputs_0": (1, 3), "inputs_1": (2, 5), "inputs_2": (4, 5)}


@pytest.mark.parametrize("cell", ["lstm", "gru", "conv"])
def test_depth_and_units_are_those_of_the_layers(cell: str) -> None:
    assert describe_network(12, cell=cell, units=5, layers=3).depth_and_units == (3, 5)


@pytest.mark.parametrize("cell", ["lstm", "gru", "conv"])
def test_the_parameters_of_a_layer_are_its_weights(cell: str) -> None:
    network, weights = random_network(12, cell=cell, units=5, layers=2)
    counts = [sum(array.size for array in arrays.values()) for arrays in weights]
    assert [layer.parameters for layer in network.layers] == counts


def test_layers_of_different_sizes_are_an_error() -> None:
    with pytest.raises(ValueError, match="output has 6 inputs, but embed has 3 outputs"):
        Network.from_layers((Embedding("embed", 12, 3), Linear("output", 6, 12)))
    with pytest.raises(ValueError, match="'hidden' must have 5 units, not 6"):
        Network.from_layers((Embedding("embed", 12, 3), LSTM("a", 3, 5), LSTM("b", 5, 6)))


def test_weights_of_the_wrong_shape_are_an_error() -> None:
    network, weights = random_network(4)
    metadata = Metadata(make_tokenizer("character", "abcd"))
    with pytest.raises(ValueError, match=r"output_bias must have shape \(4,\), not \(5,\)"):
        build_model(network, [*weights[:-1], {**weights[-1], "bias": np.zeros(5, np.float32)}], metadata)
    with pytest.raises(ValueError, match="zip"):
        build_model(network, weights[:-1], metadata)


@pytest.mark.parametrize(("cell", "format_number"), [("lstm", "1"), ("gru", "2"), ("conv", "2")])
def test_a_file_with_another_state_than_that_of_an_lstm_has_format_2(cell: str, format_number: str) -> None:
    model = build_model(
        *random_network(4, cell=cell, layers=2), Metadata(make_tokenizer("character", "abcd"))
    )
    (entry,) = [entry for entry in model.metadata_props if entry.key == "textgen.format"]
    assert entry.value == format_number
