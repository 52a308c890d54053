"""The state of optimizers as a plain value, by the names of the weights that they train."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from .muon import Muon

# What each optimizer carries for a weight.
TENSORS = {
    torch.optim.AdamW: {"step", "exp_avg", "exp_avg_sq"},
    torch.optim.RMSprop: {"step", "square_avg"},
    Muon: {"momentum"},
}


def optimizer_state(optimizers: Sequence[Optimizer], model: nn.Module) -> dict[str, dict[str, Tensor]]:
    """A copy of what the optimizers carry from one update to the next.

    Learning rates are not part of it: the schedule sets them for each update.

    Args:
        optimizers: Each weight is trained by at most one of them.
        model: Whose weights they train.

    Returns:
        For each trained weight, by its name, tensors by the names that its optimizer gives them: of the
        weight's shape, or scalars. Empty before the first update.
    """
    return {
        name: {key: value.clone() for key, value in optimizer.state[weight].items()}
        for name, weight, optimizer in _trained(optimizers, model)
        if weight in optimizer.state
    }


def fits(optimizers: Sequence[Optimizer], model: nn.Module, state: dict[str, dict[str, Tensor]]) -> bool:
    """Whether the optimizers can go on from a state."""
    trained = list(_trained(optimizers, model))
    return not state or (
        set(state) == {name for name, _, _ in trained}
        and all(set(state[name]) == TENSORS[type(optimizer)] for name, _, optimizer in trained)
        and all(
            tensor.shape == (torch.Size() if key == "step" else weight.shape)
            for name, weight, _ in trained
            for key, tensor in state[name].items()
        )
    )


def restore_optimizer_state(
    optimizers: Sequence[Optimizer], model: nn.Module, state: dict[str, dict[str, Tensor]]
) -> None:
    """Make the optimizers go on from a state that fits; the tensors are copied."""
    for name, weight, optimizer in _trained(optimizers, model):
        optimizer.state.pop(weight, None)
        if name in state:
            optimizer.state[weight] = {key: value.clone() for key, value in state[name].items()}


def _trained(
    optimizers: Sequence[Optimizer], model: nn.Module
) -> Iterator[tuple[str, nn.Parameter, Optimizer]]:
    """Each trained weight with its name and its optimizer."""
    names = {weight: name for name, weight in model.named_parameters()}
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            for weight in group["params"]:
                yield names[weight], weight, optimizer
