"""Muon, an optimiser for matrices: each update is made orthogonal, so that no direction dominates it.

K. Jordan and others, Muon: an optimizer for hidden layers in neural networks, 2024, with the scale and the
weight decay of J. Liu and others, Muon is scalable for LLM training, arXiv:2502.16982.

torch has one, which works in bfloat16 whatever the processor; where that is taken apart in software, an
update takes longer than everything else together.
"""

import math
from collections.abc import Iterable

import torch
from torch import Tensor

from textgen_train.models.precision import matrix_dtype

MOMENTUM = 0.95
NEWTON_SCHULZ_STEPS = 5
# A quintic whose iteration brings singular values to about 1 in few steps, and no nearer: Jordan's.
QUINTIC = (3.4445, -4.7750, 2.0315)
# The root mean square of AdamW's updates, which learning rates and weight decays are commonly stated for.
ADAMW_SCALE = 0.2
EPSILON = 1e-7


class Muon(torch.optim.Optimizer):
    """Updates weight matrices.

    Args:
        weights: Each of shape [outputs, inputs]; an LSTM's four gates are one matrix.
        lr: Learning rate; may be changed between steps in ``param_groups``, as torch's own.
        weight_decay: Share of the learning rate by which the weights shrink at each step.
    """

    def __init__(self, weights: Iterable[Tensor], lr: float, weight_decay: float) -> None:
        super().__init__(weights, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Update the weights from their gradients."""
        del closure
        for group in self.param_groups:
            for weight in group["params"]:
                state = self.state[weight]
                if not state:
                    state["momentum"] = torch.zeros_like(weight)
                momentum = state["momentum"].lerp_(weight.grad, 1.0 - MOMENTUM)
                # Nesterov's look ahead.
                update = orthogonal(weight.grad.lerp(momentum, MOMENTUM))
                scale = ADAMW_SCALE * math.sqrt(max(weight.shape))
                weight.mul_(1.0 - group["lr"] * group["weight_decay"])
                weight.add_(update, alpha=-group["lr"] * scale)


def orthogonal(matrix: Tensor) -> Tensor:
    """About the nearest matrix whose singular values are all 1: most come out between 0.7 and 1.2.

    Args:
        matrix: Shape [rows, columns].

    Returns:
        The same shape, float32.
    """
    # The products are of the smaller side.
    tall = matrix.shape[0] > matrix.shape[1]
    found = (matrix.mT if tall else matrix).to(matrix_dtype(), memory_format=torch.contiguous_format)
    found = found / (found.norm() + EPSILON)
    linear, cubic, quintic = QUINTIC
    for _ in range(NEWTON_SCHULZ_STEPS):
        gram = found @ found.mT
        polynomial = torch.addmm(gram, gram, gram, beta=cubic, alpha=quintic)
        found = torch.addmm(found, polynomial, found, beta=linear)
    result: Tensor = (found.mT if tall else found).float()
    return result
