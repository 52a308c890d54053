"""The state of optimizers as nested dictionaries of tensors, keyed by parameter name."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from .muon import Muon

# Names of the tensors that each optimizer stores for each parameter.
STATE_TENSORS = {
    torch.optim.AdamW: {"step", "exp_avg", "exp_avg_sq"},
    torch.optim.RMSprop: {"step", "square_avg"},
    Muon: {"momentum"},
}


def optimizer_state(optimizers: Sequence[Optimizer], model: nn.Module) -> dict[str, dict[str, Tensor]]:
    """Return a copy of the state of the optimizers.

    Learning rates are not included: the schedule sets them at each update.

    Args:
        optimizers: Each parameter may belong to at most one of them.
        model: Provides the names of the parameters.

    Returns:
        A dict from the name of a parameter to the tensors that its optimizer stores for it. The keys of the
        inner dicts are those of ``STATE_TENSORS``. All tensors are float32 and on the processor; ``step`` is
        a scalar, and all others have the shape of the parameter. The dict is empty before the first update.
    """
    return {
        name: {key: value.to("cpu", copy=True) for key, value in optimizer.state[weight].items()}
        for name, weight, optimizer in _trained_parameters(optimizers, model)
        if weight in optimizer.state
    }


def is_compatible(
    optimizers: Sequence[Optimizer], model: nn.Module, state: dict[str, dict[str, Tensor]]
) -> bool:
    """Whether a state has the parameters, tensor names, shapes and types of these optimizers, or is empty."""
    parameters = list(_trained_parameters(optimizers, model))
    return not state or (
        set(state) == {name for name, _, _ in parameters}
        and all(set(state[name]) == STATE_TENSORS[type(optimizer)] for name, _, optimizer in parameters)
        and all(
            tensor.shape == (torch.Size() if key == "step" else weight.shape)
            and tensor.dtype == torch.float32
            for name, weight, _ in parameters
            for key, tensor in state[name].items()
        )
    )


def restore_optimizer_state(
    optimizers: Sequence[Optimizer], model: nn.Module, state: dict[str, dict[str, Tensor]]
) -> None:
    """Copy a compatible state into the optimizers."""
    for name, weight, optimizer in _trained_parameters(optimizers, model):
        optimizer.state.pop(weight, None)
        if name in state:
            # Fused optimizers have the number of steps on the device of the weights, and others do not.
            devices = {} if optimizer.defaults.get("fused") else {"step": "cpu"}
            optimizer.state[weight] = {
                key: value.to(devices.get(key, weight.device), copy=True)
                for key, value in state[name].items()
            }


def _trained_parameters(
    optimizers: Sequence[Optimizer], model: nn.Module
) -> Iterator[tuple[str, nn.Parameter, Optimizer]]:
    """Yield the name, the parameter and the optimizer of each trained parameter."""
    names = {weight: name for name, weight in model.named_parameters()}
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            for weight in group["params"]:
                yield names[weight], weight, optimizer
