"""Muon, an optimizer for weight matrices that orthogonalizes each update, and the state of all optimizers.

K. Jordan and others, Muon: an optimizer for hidden layers in neural networks, 2024. The scale of an update
and the weight decay follow J. Liu and others, Muon is scalable for LLM training, arXiv:2502.16982.

torch's own Muon always uses bfloat16. On a processor that emulates bfloat16 in software, its step
takes longer than the rest of the update.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

MOMENTUM = 0.95
# Jordan and others make five. In the preset small, three train equally well: docs/results.md.
NEWTON_SCHULZ_STEPS = 3
# Coefficients of x, x^3 and x^5, from Jordan and others. The iteration moves singular values close to 1 in
# few steps, but does not converge to 1.
NEWTON_SCHULZ_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
# Root mean square of a typical AdamW update. Muon's updates are scaled to it, so that learning rates and
# weight decays are comparable.
ADAMW_RMS = 0.2
EPSILON = 1e-7


class Muon(Optimizer):
    """Optimizer for weight matrices.

    Args:
        params: Matrices of shape [outputs, inputs]. All gates of a layer are one matrix.
        lr: Learning rate. The caller may change it between steps in ``param_groups``, as for the optimizers
            of torch.
        weight_decay: Decoupled weight decay: each step multiplies the weights by ``1 - lr * weight_decay``.
    """

    def __init__(self, params: Iterable[Tensor], lr: float, weight_decay: float) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay})

    # Whether torch computes gradients is a setting of each thread, and a step may run on any of them.
    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Update the weights from their gradients."""
        del closure
        for group in self.param_groups:
            for weight in group["params"]:
                self._update(weight, group["lr"], group["weight_decay"])

    def _update(self, weight: Tensor, lr: float, weight_decay: float) -> None:
        gradient: Any = weight.grad
        state = self.state[weight]
        if not state:
            state["momentum"] = torch.zeros_like(weight)
        momentum = state["momentum"].lerp_(gradient, 1.0 - MOMENTUM)
        # Nesterov momentum.
        update = orthogonalize(gradient.lerp(momentum, MOMENTUM))
        scale = ADAMW_RMS * math.sqrt(max(weight.shape))
        weight.mul_(1.0 - lr * weight_decay)
        weight.add_(update, alpha=-lr * scale)


def orthogonalize(matrix: Tensor) -> Tensor:
    """Return an approximation of the nearest semi-orthogonal matrix, by Newton-Schulz iteration.

    Singular values of at least 1/50 of the matrix's Frobenius norm become values between 0.68 and 1.21.
    Smaller ones become at most 41 times their share of that norm.

    Each step of the iteration multiplies the matrix by a polynomial of its Gram matrix. Therefore the steps
    only need the Gram matrix, which has the size of the smaller side, and the product of the polynomials:
    J. Zhang, N. Amsel, B. Chen and T. Dao, Gram Newton-Schulz, 2026. The steps amplify rounding errors, so
    they are in float32 on every device.

    Args:
        matrix: Shape [rows, columns], float32.

    Returns:
        A float32 tensor of the same shape.
    """
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix / (matrix.norm() + EPSILON)
    gram = x.mT @ x if tall else x @ x.mT
    linear, cubic, quintic = NEWTON_SCHULZ_COEFFICIENTS
    product: Tensor | None = None
    # All of them are polynomials of the same matrix, so their order in a product does not matter.
    for i in range(NEWTON_SCHULZ_STEPS):
        polynomial = torch.addmm(gram, gram, gram, beta=cubic, alpha=quintic)
        polynomial.diagonal().add_(linear)
        product = polynomial if product is None else product @ polynomial
        if i < NEWTON_SCHULZ_STEPS - 1:
            gram = polynomial @ gram @ polynomial
    result: Tensor = x @ product if tall else product @ x
    return result


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
