"""The output layer and the loss in one function that never stores the logits of the entire batch."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from .precision import matrix_dtype

# Maximum number of logits in memory at once. They take one megabyte, which fits into a second-level cache.
# With a vocabulary of thousands, all logits of a batch take 20 MB, and torch's own functions pass over them
# six times.
MAX_CHUNK_LOGITS = 2**18
# Minimum number of rows per chunk. A matrix product with fewer rows takes about the same time.
MIN_ROWS = 16


def output_loss(outputs: Tensor, weight: Tensor, bias: Tensor, targets: Tensor) -> Tensor:
    """Return the softmax cross-entropy of a linear layer, summed over the targets.

    Equivalent to ``cross_entropy(linear(outputs, weight, bias), targets, reduction="sum")``. Loss and
    gradients are computed in one pass, chunk by chunk. If the device supports bfloat16, matrix products
    use it. Everything else is in float32.

    Args:
        outputs: Inputs of the linear layer, shape [tokens, units].
        weight: Shape [vocabulary, units], float32.
        bias: Shape [vocabulary], float32.
        targets: Shape [tokens], int64.

    Returns:
        A float32 scalar, in nats.
    """
    loss: Tensor = _OutputLoss.apply(outputs, weight, bias, targets)  # type: ignore[no-untyped-call]
    return loss


class _OutputLoss(torch.autograd.Function):
    """Computes the gradients in the forward pass, even if no backward pass follows."""

    @staticmethod
    def forward(ctx: Any, outputs: Tensor, weight: Tensor, bias: Tensor, targets: Tensor) -> Tensor:
        dtype = matrix_dtype(weight.device)
        inputs, matrix = outputs.to(dtype), weight.to(dtype)
        grad_outputs = torch.empty_like(inputs)
        grad_weight, grad_bias = torch.zeros_like(weight), torch.zeros_like(bias)
        loss = torch.zeros((), device=weight.device)
        rows = max(MIN_ROWS, MAX_CHUNK_LOGITS // len(weight))
        for chunk, chunk_targets, grad_chunk in zip(
            torch.split(inputs, rows),
            torch.split(targets.unsqueeze(1), rows),
            torch.split(grad_outputs, rows),
            strict=True,
        ):
            # The buffer holds first the logits, then their exponentials, then the gradient of the logits.
            buffer = (chunk @ matrix.t()).float().add_(bias)
            buffer.sub_(buffer.amax(1, keepdim=True))
            loss -= buffer.gather(1, chunk_targets).sum()
            sums = buffer.exp_().sum(1, keepdim=True)
            loss += sums.log().sum()
            # The gradient of the logits is the softmax minus one at the target.
            buffer.div_(sums).scatter_add_(1, chunk_targets, torch.full_like(sums, -1.0))
            grad_bias += buffer.sum(0)
            grad_logits = buffer.to(dtype)
            torch.mm(grad_logits, matrix, out=grad_chunk)
            grad_weight += grad_logits.t() @ chunk
        ctx.save_for_backward(grad_outputs.to(outputs.dtype), grad_weight, grad_bias)
        return loss

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, scale: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        grad_outputs, grad_weight, grad_bias = ctx.saved_tensors
        return grad_outputs * scale, grad_weight * scale, grad_bias * scale, None
