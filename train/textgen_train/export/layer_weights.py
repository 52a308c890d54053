"""Description of a trained network, and its weights in the layout of the exporter.

``LAYERS`` describes each torch module of a layer, and ``PARAMETERS`` names its parameters.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from textgen_train.export.network import GRU, LSTM, Cell, Conv, Embedding, Layer, Linear, Network
from textgen_train.models.cells import GatedConv
from textgen_train.models.network import CharNetwork

from .onnx_graph import LayerWeights

# The layer of each module between the embedding and the output. The arguments are the module, its number, and
# whether its input is added to its output.
LAYERS: dict[type[nn.Module], Callable[[Any, int, bool], Cell]] = {
    nn.LSTM: lambda lstm, i, residual: LSTM(f"lstm_{i}", lstm.input_size, lstm.hidden_size, residual),
    nn.GRU: lambda gru, i, residual: GRU(f"gru_{i}", gru.input_size, gru.hidden_size, residual),
    GatedConv: lambda conv, i, residual: Conv(f"conv_{i}", conv.inputs, conv.units, residual, conv.dilation),
}

# The parameters of each module, by the names of the arrays of its layer.
PARAMETERS: dict[type[nn.Module], Mapping[str, str]] = {
    nn.Embedding: {"weight": "weight"},
    nn.LSTM: {"input": "weight_ih_l0", "recurrent": "weight_hh_l0", "bias": "bias_ih_l0"},
    nn.GRU: {
        "input": "weight_ih_l0",
        "recurrent": "weight_hh_l0",
        "bias": "bias_ih_l0",
        # The reset gate multiplies only one of the two biases of the candidate.
        "recurrent_bias": "bias_hh_l0",
    },
    GatedConv: {"weight": "weight", "bias": "bias"},
    nn.Linear: {"weight": "weight", "bias": "bias"},
}

# The second bias of torch's LSTM, which the layer adds to the first one.
SECOND_BIAS = "bias_hh_l0"


def network_and_weights(model: CharNetwork) -> tuple[Network, list[LayerWeights]]:
    """Return the description of a network, and the float32 arrays of each of its layers."""
    embedding, output = model.embedding, model.output
    layers: tuple[Layer, ...] = (
        Embedding("embed", embedding.num_embeddings, embedding.embedding_dim),
        *(LAYERS[type(layer)](layer, i, model.residual and i > 0) for i, layer in enumerate(model.layers)),
        Linear("output", output.in_features, output.out_features),
    )
    return Network.from_layers(layers), [_read(module) for module in _modules(model)]


@torch.no_grad()
def load_weights(model: CharNetwork, weights: Sequence[LayerWeights]) -> None:
    """Copy weights into a network. ``network_and_weights`` then returns the same weights, to the bit.

    Args:
        weights: The arrays of each layer, from the embedding to the output, as ``read_weights`` returns them.

    Raises:
        ValueError: If the number of layers or the shape of an array is not that of the network.
    """
    modules = _modules(model)
    if len(weights) != len(modules):
        raise ValueError(f"the network has {len(modules)} layers, but there are weights of {len(weights)}")
    for module, arrays in zip(modules, weights, strict=True):
        for name, array in arrays.items():
            parameter = module.get_parameter(PARAMETERS[type(module)][name])
            if parameter.shape != array.shape:
                raise ValueError(f"{name} must have shape {tuple(parameter.shape)}, not {array.shape}")
            parameter.copy_(torch.from_numpy(array))
        if isinstance(module, nn.LSTM):
            module.get_parameter(SECOND_BIAS).zero_()


def _modules(model: CharNetwork) -> list[nn.Module]:
    return [model.embedding, *model.layers, model.output]


def _read(module: nn.Module) -> LayerWeights:
    """Return the arrays of a layer."""
    arrays = {name: _array(module, parameter) for name, parameter in PARAMETERS[type(module)].items()}
    if isinstance(module, nn.LSTM):
        arrays["bias"] += _array(module, SECOND_BIAS)
    return arrays


def _array(module: nn.Module, parameter: str) -> NDArray[np.float32]:
    return np.array(module.get_parameter(parameter).detach().float().numpy())
