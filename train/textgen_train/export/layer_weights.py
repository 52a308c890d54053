"""Description of a trained network, and its weights in the layout of the exporter.

``_READERS`` maps each torch module to the function that reads it; add a GRU there.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from textgen_runtime.model_file.network import LSTM, Embedding, Layer, Linear, Network
from torch import Tensor, nn

from textgen_train.models.lstm import CharLSTM

from .onnx_graph import LayerWeights


def network_and_weights(model: CharLSTM) -> tuple[Network, list[LayerWeights]]:
    """Return the description of a network, and the float32 arrays of each of its layers."""
    modules = [model.embedding, *model.layers, model.output]
    # The layers between the embedding and the output are numbered from 0.
    described = [_READERS[type(module)](module, index - 1) for index, module in enumerate(modules)]
    layers, weights = zip(*described, strict=True)
    return Network.from_layers(layers), list(weights)


def _read_embedding(embedding: nn.Embedding, index: int) -> tuple[Layer, LayerWeights]:
    del index
    layer = Embedding("embed", embedding.num_embeddings, embedding.embedding_dim)
    return layer, {"weight": _float32_array(embedding.weight)}


def _read_lstm(lstm: nn.LSTM, index: int) -> tuple[Layer, LayerWeights]:
    """Read an LSTM layer. torch has two biases; their sum is returned."""
    return LSTM(f"lstm_{index}", lstm.input_size, lstm.hidden_size), {
        "input": _float32_array(lstm.get_parameter("weight_ih_l0")),
        "recurrent": _float32_array(lstm.get_parameter("weight_hh_l0")),
        "bias": _float32_array(lstm.get_parameter("bias_ih_l0") + lstm.get_parameter("bias_hh_l0")),
    }


def _read_linear(linear: nn.Linear, index: int) -> tuple[Layer, LayerWeights]:
    del index
    layer = Linear("output", linear.in_features, linear.out_features)
    return layer, {"weight": _float32_array(linear.weight), "bias": _float32_array(linear.bias)}


# The reader of each module. Its arguments are the module, and its number among the layers between the
# embedding and the output.
_READERS: dict[type[nn.Module], Callable[[Any, int], tuple[Layer, LayerWeights]]] = {
    nn.Embedding: _read_embedding,
    nn.LSTM: _read_lstm,
    nn.Linear: _read_linear,
}


def _float32_array(tensor: Tensor) -> NDArray[np.float32]:
    return np.array(tensor.detach().float().numpy())
