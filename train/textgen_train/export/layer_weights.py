"""Description of a trained network, and its weights in the layout of the exporter.

``_READERS`` maps each torch module of a layer to the function that reads it, and ``_LOADERS`` to the function
that returns its parameters.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from textgen_runtime.model_file.network import GRU, LSTM, Conv, Embedding, Layer, Linear, Network
from torch import Tensor, nn

from textgen_train.models.conv import GatedConv
from textgen_train.models.network import CharNetwork

from .layer_nodes import LayerWeights


def network_and_weights(model: CharNetwork) -> tuple[Network, list[LayerWeights]]:
    """Return the description of a network, and the float32 arrays of each of its layers."""
    described = [
        _read_embedding(model.embedding),
        *(
            _READERS[type(layer)](layer, index, residual=model.residual and index > 0)
            for index, layer in enumerate(model.layers)
        ),
        _read_linear(model.output),
    ]
    layers, weights = zip(*described, strict=True)
    return Network.from_layers(layers), list(weights)


@torch.no_grad()
def load_weights(model: CharNetwork, weights: Sequence[LayerWeights]) -> None:
    """Copy weights into a network. ``network_and_weights`` then returns the same weights, to the bit.

    Args:
        model: The network.
        weights: The arrays of each layer, from the embedding to the output, as ``read_weights`` returns them.

    Raises:
        ValueError: If the number of layers or the shape of an array is not that of the network.
    """
    modules = [model.embedding, *model.layers, model.output]
    if len(weights) != len(modules):
        raise ValueError(f"the network has {len(modules)} layers, but there are weights of {len(weights)}")
    for module, arrays in zip(modules, weights, strict=True):
        for name, array in _LOADERS[type(module)](arrays).items():
            parameter = module.get_parameter(name)
            if parameter.shape != array.shape:
                raise ValueError(f"{name} must have shape {tuple(parameter.shape)}, not {array.shape}")
            parameter.copy_(torch.from_numpy(array))


def _read_embedding(embedding: nn.Embedding) -> tuple[Layer, LayerWeights]:
    layer = Embedding("embed", embedding.num_embeddings, embedding.embedding_dim)
    return layer, {"weight": _float32_array(embedding.weight)}


def _read_lstm(lstm: nn.LSTM, index: int, *, residual: bool) -> tuple[Layer, LayerWeights]:
    """Read an LSTM layer. torch has two biases; their sum is returned."""
    return LSTM(f"lstm_{index}", lstm.input_size, lstm.hidden_size, residual), {
        "input": _float32_array(lstm.get_parameter("weight_ih_l0")),
        "recurrent": _float32_array(lstm.get_parameter("weight_hh_l0")),
        "bias": _float32_array(lstm.get_parameter("bias_ih_l0") + lstm.get_parameter("bias_hh_l0")),
    }


def _read_gru(gru: nn.GRU, index: int, *, residual: bool) -> tuple[Layer, LayerWeights]:
    """Read a GRU layer. The reset gate multiplies only one of the two biases of the candidate."""
    return GRU(f"gru_{index}", gru.input_size, gru.hidden_size, residual), {
        "input": _float32_array(gru.get_parameter("weight_ih_l0")),
        "recurrent": _float32_array(gru.get_parameter("weight_hh_l0")),
        "bias": _float32_array(gru.get_parameter("bias_ih_l0")),
        "recurrent_bias": _float32_array(gru.get_parameter("bias_hh_l0")),
    }


def _read_conv(conv: GatedConv, index: int, *, residual: bool) -> tuple[Layer, LayerWeights]:
    return Conv(f"conv_{index}", conv.inputs, conv.units, residual, conv.dilation), {
        "weight": _float32_array(conv.weight),
        "bias": _float32_array(conv.bias),
    }


def _read_linear(linear: nn.Linear) -> tuple[Layer, LayerWeights]:
    layer = Linear("output", linear.in_features, linear.out_features)
    return layer, {"weight": _float32_array(linear.weight), "bias": _float32_array(linear.bias)}


# The reader of each module between the embedding and the output. Its arguments are the module, its number,
# and whether its input is added to its output.
_READERS: dict[type[nn.Module], Callable[..., tuple[Layer, LayerWeights]]] = {
    nn.LSTM: _read_lstm,
    nn.GRU: _read_gru,
    GatedConv: _read_conv,
}


def _load_lstm(weights: LayerWeights) -> LayerWeights:
    """Return the parameters of an LSTM layer. Its second bias is zero."""
    return {
        "weight_ih_l0": weights["input"],
        "weight_hh_l0": weights["recurrent"],
        "bias_ih_l0": weights["bias"],
        "bias_hh_l0": np.zeros_like(weights["bias"]),
    }


def _load_gru(weights: LayerWeights) -> LayerWeights:
    """Return the parameters of a GRU layer."""
    return {
        "weight_ih_l0": weights["input"],
        "weight_hh_l0": weights["recurrent"],
        "bias_ih_l0": weights["bias"],
        "bias_hh_l0": weights["recurrent_bias"],
    }


# The loader of each module: it returns the parameters of the module by name, given the arrays of the layer.
_LOADERS: dict[type[nn.Module], Callable[[LayerWeights], LayerWeights]] = {
    nn.Embedding: dict,
    nn.LSTM: _load_lstm,
    nn.GRU: _load_gru,
    GatedConv: dict,
    nn.Linear: dict,
}


def _float32_array(tensor: Tensor) -> NDArray[np.float32]:
    return np.array(tensor.detach().float().numpy())
