"""Networks of torch's recurrent layers, with DropConnect on their recurrent weights."""

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.func import functional_call

from .network import CharNetwork, NetworkState, dropout


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
        """Return the recurrent weights of a layer after DropConnect, by parameter name.

        One mask is used for all time steps of a call. Without DropConnect, the dict is empty.
        """
        if not self.training or not self.weight_dropout:
            return {}
        weight: Tensor = layer.get_parameter("weight_hh_l0")
        if torch.is_autocast_enabled(self.device.type):
            # The matrix product converts the weights to this dtype. A mask of this dtype is half as large.
            weight = weight.to(torch.get_autocast_dtype(self.device.type))
        return {"weight_hh_l0": dropout(weight, self.weight_dropout, self.generator)}
