"""The state of a network between two calls.

Its names, shapes and values are those of the model file. The second dimension of each tensor is the lane, so
that the functions of this module know no cell.
"""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import torch
from torch import Tensor

# The tensors by name, such as ``hidden`` and ``cell`` of an LSTM, each of shape [layers, lanes, units].
NetworkState: TypeAlias = dict[str, Tensor]


def concatenate_lanes(states: Sequence[NetworkState]) -> NetworkState:
    """Return the state of all lanes of one or more states of the same network."""
    return {name: torch.cat([state[name] for state in states], dim=1) for name in states[0]}


def copy_lanes(state: NetworkState, lanes: slice) -> NetworkState:
    """Return a contiguous copy of the state of some lanes."""
    # `clone` alone would keep the strides of the view. The memory layout affects rounding.
    return {name: part[:, lanes].clone(memory_format=torch.contiguous_format) for name, part in state.items()}


def detach(state: NetworkState) -> NetworkState:
    """Return the state in float32, without its history of gradients."""
    return {name: part.detach().float() for name, part in state.items()}


def are_alike(first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> bool:
    """Return whether two groups of tensors have the same names, shapes and types."""

    def kinds(tensors: Mapping[str, Tensor]) -> dict[str, tuple[torch.Size, torch.dtype]]:
        return {name: (tensor.shape, tensor.dtype) for name, tensor in tensors.items()}

    return kinds(first) == kinds(second)


def lanes_of(state: NetworkState) -> int:
    """Return the number of lanes of a state; 0 if it is empty or has no lanes."""
    return next((part.shape[1] for part in state.values() if part.dim() > 1), 0)
