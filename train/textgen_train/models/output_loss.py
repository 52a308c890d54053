"""The output layer and the loss in one function, which never holds the logits of a whole batch."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from .precision import matrix_dtype

# Logits that are in memory at once: a megabyte, which a second-level cache holds. With an alphabet of
# thousands, the logits of a batch are 20 MB, and torch's own functions pass over them six times in memory.
LOGITS_AT_ONCE = 2**18
# Products of fewer rows take hardly less time.
MIN_ROWS = 16


def output_loss(outputs: Tensor, weight: Tensor, bias: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy of the softmax of a linear layer, summed over the targets.

    Does what ``cross_entropy(linear(outputs, weight, bias), targets, reduction="sum")`` does. The gradients
    are computed along with the loss, chunk by chunk. Matrix products are in bfloat16 where the processor has
    it, and everything else in float32.

    Args:
        outputs: What the linear layer reads, shape [tokens, units].
        weight: Shape [vocabulary, units], float32.
        bias: Shape [vocabulary], float32.
        targets: Shape [tokens], int64.

    Returns:
        A scalar, float32, in nats.
    """
    loss: Tensor = _OutputLoss.apply(outputs, weight, bias, targets)  # type: ignore[no-untyped-call]
    return loss


class _OutputLoss(torch.autograd.Function):
    """The gradients are computed with the loss, whether or not they will be asked for."""

    @staticmethod
    def forward(ctx: Any, outputs: Tensor, weight: Tensor, bias: Tensor, targets: Tensor) -> Tensor:
        dtype = matrix_dtype()
        inputs, matrix = outputs.to(dtype), weight.to(dtype)
        to_outputs = torch.empty_like(inputs)
        to_weight, to_bias = torch.zeros_like(weight), torch.zeros_like(bias)
        loss = torch.zeros(())
        rows = max(MIN_ROWS, LOGITS_AT_ONCE // len(weight))
        for chunk, wanted, to_chunk in zip(
            torch.split(inputs, rows),
            torch.split(targets.unsqueeze(1), rows),
            torch.split(to_outputs, rows),
            strict=True,
        ):
            values = (chunk @ matrix.t()).float().add_(bias)
            values.sub_(values.amax(1, keepdim=True))
            loss -= values.gather(1, wanted).sum()
            sums = values.exp_().sum(1, keepdim=True)
            loss += sums.log().sum()
            # The gradient of the logits: the distribution, less one at the target.
            values.div_(sums).scatter_add_(1, wanted, torch.full_like(sums, -1.0))
            to_bias += values.sum(0)
            gradient = values.to(dtype)
            torch.mm(gradient, matrix, out=to_chunk)
            to_weight += gradient.t() @ chunk
        ctx.save_for_backward(to_outputs.to(outputs.dtype), to_weight, to_bias)
        return loss

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, scale: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        to_outputs, to_weight, to_bias = ctx.saved_tensors
        return to_outputs * scale, to_weight * scale, to_bias * scale, None
