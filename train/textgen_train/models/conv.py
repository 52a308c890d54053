"""Causal dilated convolutions, whose state is a buffer of the last inputs of each layer."""

import torch
from torch import Tensor, nn

from .network import CharNetwork, NetworkState

# The dilations are 1, 2, 4, ..., 2 ** (CYCLE - 1), and begin again.
CYCLE = 8


class GatedConv(nn.Module):
    """A causal convolution with two taps: the input of a step, and the input ``dilation`` steps before.

    The outputs are ``tanh(filter) * sigmoid(gate)`` of two linear functions of both (A. van den Oord and
    others, WaveNet: A Generative Model for Raw Audio, arXiv:1609.03499).

    Args:
        inputs: Input size.
        units: Output size.
        dilation: Distance of the taps in steps.

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
    """A character-level language model of causal dilated convolutions.

    Its state are the arrays ``inputs_0``, ``inputs_1``, ..., one for each layer, of shape [dilation, batch,
    inputs]. The layers have no recurrent weights. The other arguments are those of ``CharNetwork``.
    """

    cell = "conv"

    def initial_state(self, batch: int) -> NetworkState:
        inputs = [self.embedding.embedding_dim, *[self.units] * (len(self.layers) - 1)]
        return {
            _state_name(i): torch.zeros(_dilation(i), batch, size, device=self.device)
            for i, size in enumerate(inputs)
        }

    def _new_layer(self, inputs: int, index: int) -> nn.Module:
        if self.weight_dropout:
            raise ValueError("weight_dropout must be 0: convolutions have no recurrent weights")
        return GatedConv(inputs, self.units, _dilation(index))

    def _run_layer(self, index: int, inputs: Tensor, state: NetworkState) -> tuple[Tensor, NetworkState]:
        name = _state_name(index)
        outputs, next_inputs = self.layers[index](inputs, state[name])
        return outputs, {name: next_inputs}


def _state_name(index: int) -> str:
    return f"inputs_{index}"


def _dilation(index: int) -> int:
    return int(2 ** (index % CYCLE))
