"""A network description is built from layers and checked."""

import numpy as np
import pytest
from textgen_runtime.model_file.metadata import Metadata
from textgen_runtime.model_file.network import LSTM, Embedding, Linear, Network, lstm_network
from textgen_runtime.text.character_tokenizer import CharacterTokenizer
from textgen_train.export.onnx_graph import build_model

from tests.helpers.make_tiny_model import random_network


def test_the_state_arrays_follow_from_the_layers() -> None:
    network = lstm_network(12, embedding=3, units=5, layers=2)
    assert network.layers == (
        Embedding("embed", 12, 3),
        LSTM("lstm_0", 3, 5),
        LSTM("lstm_1", 5, 5),
        Linear("output", 5, 12),
    )
    assert network.state == {"hidden": (2, 5), "cell": (2, 5)}
    assert network.vocabulary == 12


def test_layers_of_different_sizes_are_an_error() -> None:
    with pytest.raises(ValueError, match="output has 6 inputs, but embed has 3 outputs"):
        Network.from_layers((Embedding("embed", 12, 3), Linear("output", 6, 12)))
    with pytest.raises(ValueError, match="'hidden' must have 5 units, not 6"):
        Network.from_layers((Embedding("embed", 12, 3), LSTM("a", 3, 5), LSTM("b", 5, 6)))


def test_weights_of_the_wrong_shape_are_an_error() -> None:
    network, weights = random_network(4)
    metadata = Metadata(CharacterTokenizer("abcd"))
    with pytest.raises(ValueError, match=r"output_bias must have shape \(4,\), not \(5,\)"):
        build_model(network, [*weights[:-1], {**weights[-1], "bias": np.zeros(5, np.float32)}], metadata)
    with pytest.raises(ValueError, match="zip"):
        build_model(network, weights[:-1], metadata)
