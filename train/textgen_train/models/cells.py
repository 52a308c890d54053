"""The cells: LSTM, GRU, and causal dilated convolutions, whose state is a buffer of the last inputs."""

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.func import functional_call

from .network import CharNetwork, NetworkState, dropout

# The dilations of convolutions are 1, 2, 4, ..., 2 ** (CYCLE - 1), and begin again.
CYCLE = 8


class RecurrentNetwork(CharNetwork):
    """The base class of the LSTM and the GRU. A subclass names the layer of torch and its state arrays.

    The DropConnect mask of a layer is constant over the time steps of a call (S. Merity and others,
    Regularizing and Optimizing LSTM Language Models, arXiv:1708.02182).
    """

    layer_class: ClassVar[type[nn.LSTM] | type[nn.GRU]]
    # Each array is of shape [layers, batch, units].
    state_names: ClassVar[tuple[str, ...]]

    def initial_state(self, batch: int) -> NetworkState:
        shape = (len(self.layers), batch, self.units)
        return {name: torch.zeros(shape, device=self.device) for name in self.state_names}

    def _new_layer(self, inputs: int, index: int) -> nn.Module:
        del index
        return self.layer_class(inputs, self.units)

    def _run_layer(self, index: int, inputs: Tensor, state: NetworkState) -> tuple[Tensor, NetworkState]:
        layer = self.layers[index]
        parts = tuple(state[name][index : index + 1] for name in self.state_names)
        # torch takes and returns a tuple of states, but a single state without a tuple.
        is_single = len(parts) == 1
        arguments = (inputs, parts[0] if is_single else parts)
        outputs, next_parts = functional_call(layer, self._drop_connect(layer), arguments)
        return outputs, dict(zip(self.state_names, (next_parts,) if is_single else next_parts, strict=True))

    def _drop_connect(self, layer: nn.Module) -> dict[str, Tensor]:
        """Return the recurrent weights of a layer after DropConnect, by name; none without DropConnect."""
        if not self.training or not self.weight_dropout:
            return {}
        weight: Tensor = layer.get_parameter("weight_hh_l0")
        if torch.is_autocast_enabled(self.device.type):
            # The matrix product converts the weights to this dtype. A mask of this dtype is half as large.
            weight = weight.to(torch.get_autocast_dtype(self.device.type))
        return {"weight_hh_l0": dropout(weight, self.weight_dropout, self.generator)}


class CharLSTM(RecurrentNetwork):
    """A language model of long short-term memory layers.

    S. Hochreiter and J. Schmidhuber, Long short-term memory, Neural Computation 9(8), 1997, with the forget
    gate of F. A. Gers, J. Schmidhuber and F. Cummins, Learning to forget, Neural Computation 12(10), 2000.

    Its state are the arrays ``hidden`` and ``cell``, each of shape [layers, batch, units]. ``CharNetwork``
    describes the arguments.
    """

    cell = "lstm"
    layer_class = nn.LSTM
    state_names = ("hidden", "cell")


class CharGRU(RecurrentNetwork):
    """A language model of gated recurrent units, which have a single state array.

    K. Cho and others, Learning Phrase Representations using RNN Encoder-Decoder for Statistical Machine
    Translation, arXiv:1406.1078. The reset gate multiplies the product with the recurrent weights, as in
    cuDNN, not the hidden state.

    Its state is the array ``hidden``, of shape [layers, batch, units]. ``CharNetwork`` describes the
    arguments.
    """

    cell = "gru"
    layer_class = nn.GRU
    state_names = ("hidden",)


class GatedConv(nn.Module):
    """A causal convolution with two taps: the input of a step, and the input ``dilation`` steps before.

    The outputs are ``tanh(filter) * sigmoid(gate)`` of two linear functions of both (A. van den Oord and
    others, WaveNet: A Generative Model for Raw Audio, arXiv:1609.03499).

    Attributes:
        weight: Shape [2 * units, 2 * inputs]: the rows of the filter and of the gate, and the columns of the
            older and of the newer input.
        bias: Shape [2 * units].
    """

    def __init__(self, inputs: int, units: int, dilation: int) -> None:
        super().__init__()
        self.inputs, self.units, self.dilation = inputs, units, dilation
        linear = nn.Linear(2 * inputs, 2 * units)
        self.weight, self.bias = linear.weight, linear.bias

    def forward(self, inputs: Tensor, earlier: Tensor) -> tuple[Tensor, Tensor]:
        """Run the layer.

        Args:
            inputs: Shape [time, batch, inputs].
            earlier: The last inputs before them, oldest first, shape [dilation, batch, inputs].

        Returns:
            The outputs, shape [time, batch, units], and the last inputs after the last step.
        """
        buffer = torch.cat([earlier, inputs])
        taps = torch.cat([buffer[: len(inputs)], buffer[self.dilation :]], dim=2)
        filters, gates = nn.functional.linear(taps, self.weight, self.bias).chunk(2, dim=2)
        return torch.tanh(filters) * torch.sigmoid(gates), buffer[len(inputs) :]


class CharConv(CharNetwork):
    """A language model of causal dilated convolutions.

    Its state are the arrays ``inputs_0``, ``inputs_1``, ..., one for each layer, of shape [dilation, batch,
    inputs]. ``CharNetwork`` describes the arguments. ``weight_dropout`` must be 0, because the layers have no
    recurrent weights.
    """

    cell = "conv"

    def initial_state(self, batch: int) -> NetworkState:
        inputs = [self.embedding.embedding_dim, *[self.units] * (len(self.layers) - 1)]
        return {
            f"inputs_{i}": torch.zeros(_dilation(i), batch, size, device=self.device)
            for i, size in enumerate(inputs)
        }

    def _new_layer(self, inputs: int, index: int) -> nn.Module:
        if self.weight_dropout:
            raise ValueError("weight_dropout must be 0: convolutions have no recurrent weights")
        return GatedConv(inputs, self.units, _dilation(index))

    def _run_layer(self, index: int, inputs: Tensor, state: NetworkState) -> tuple[Tensor, NetworkState]:
        name = f"inputs_{index}"
        outputs, next_inputs = self.layers[index](inputs, state[name])
        return outputs, {name: next_inputs}


def _dilation(index: int) -> int:
    return int(2 ** (index % CYCLE))


# The networks by the name of their cell in recipes.
CELLS: dict[str, type[CharNetwork]] = {network.cell: network for network in (CharLSTM, CharGRU, CharConv)}
