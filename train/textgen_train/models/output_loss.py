"""The output layer and the loss in one function that never stores all logits of a batch; penalties."""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from .device import matrix_dtype


class SoftTargets(NamedTuple):
    """A share of the distribution that each target has; the target itself has the rest.

    Attributes:
        shares: Shape [targets, n], float32, at least 0. The sum of a row is at most 1, apart from rounding.
        tokens: The tokens of the shares, shape [targets, n], int64; None if n is the size of the vocabulary.
    """

    shares: Tensor
    tokens: Tensor | None = None

    def subtract_from(self, probabilities: Tensor, part: slice) -> Tensor:
        """Subtract the shares of some targets from their probabilities, in place.

        Args:
            probabilities: Shape [targets of the part, vocabulary].
            part: Selects the targets.

        Returns:
            The sum of the shares of each target, at most 1, shape [targets of the part, 1].
        """
        shares = self.shares[part]
        if self.tokens is None:
            probabilities.sub_(shares)
        else:
            probabilities.scatter_add_(1, self.tokens[part], -shares)
        # Rounded probabilities may have a sum slightly above 1.
        return shares.sum(1, keepdim=True).clamp_(max=1.0)


def activation_penalty(outputs: Tensor) -> Tensor:
    """Return the mean square of the outputs of each time step, summed over the time steps.

    Source: S. Merity, B. McCann and R. Socher, Revisiting Activation Regularization for Language RNNs,
    arXiv:1708.01009. As there, it is applied to the outputs after dropout.

    Args:
        outputs: Shape [tokens, units].

    Returns:
        A float32 scalar.
    """
    return outputs.float().square().mean(1).sum()


# Maximum number of logits in memory at once. They take one megabyte, which fits into a second-level cache.
# With a vocabulary of thousands, all logits of a batch take 20 MB, and torch's own functions pass over them
# six times. A confidence penalty needs two more buffers of this size.
MAX_CHUNK_LOGITS = 2**18
# Minimum number of rows per chunk. A matrix product with fewer rows takes about the same time.
MIN_ROWS = 16


def output_loss(  # noqa: PLR0913, PLR0917 (four are needed)
    outputs: Tensor,
    weight: Tensor,
    bias: Tensor,
    targets: Tensor,
    confidence_penalty: float = 0.0,
    soft_targets: SoftTargets | None = None,
) -> Tensor:
    """Return the softmax cross-entropy of a linear layer, summed over the targets.

    Without a penalty, equivalent to ``cross_entropy(linear(outputs, weight, bias), targets,
    reduction="sum")``. Loss and gradients are computed in one pass, chunk by chunk. If the device supports
    bfloat16, matrix products use it. Everything else is in float32.

    With a confidence penalty, the gradients are those of the loss minus ``confidence_penalty`` times the
    entropy of the predictions (G. Pereyra and others, Regularizing Neural Networks by Penalizing Confident
    Output Distributions, arXiv:1701.06548). A network that overfits predicts with too high a confidence. The
    returned loss has no penalty, so that it can be compared with a held-out loss.

    With soft targets, the gradients are those of the cross-entropy between their distributions and the
    predictions (G. Hinton, O. Vinyals and J. Dean, Distilling the Knowledge in a Neural Network,
    arXiv:1503.02531, at temperature 1). The returned loss is still that of the targets.

    Args:
        outputs: Inputs of the linear layer, shape [tokens, units].
        weight: Shape [vocabulary, units], float32.
        bias: Shape [vocabulary], float32.
        targets: Shape [tokens], int64.
        confidence_penalty: Weight of the entropy, per target; 0 for no penalty.
        soft_targets: The distributions of the targets; None if each is certain.

    Returns:
        A float32 scalar, in nats.
    """
    loss: Tensor = _OutputLoss.apply(  # type: ignore[no-untyped-call]
        outputs, weight, bias, targets, confidence_penalty, soft_targets
    )
    return loss


def penalized_loss(  # noqa: PLR0913, PLR0917 (all but one are needed)
    outputs: Tensor,
    output: nn.Linear,
    targets: Tensor,
    activation_weight: float,
    confidence_penalty: float,
    soft_targets: SoftTargets | None = None,
) -> Tensor:
    """Return the loss in nats, summed over the targets. Its gradients include those of the penalties.

    Args:
        outputs: Outputs of the last layer, shape [targets, units].
        output: The output layer.
        targets: Shape [targets], int64.
        activation_weight: Weight of ``activation_penalty``; 0 for none.
        confidence_penalty: As for ``output_loss``, and so is ``soft_targets``.
    """
    loss = output_loss(outputs, output.weight, output.bias, targets, confidence_penalty, soft_targets)
    if activation_weight:
        penalty = activation_weight * activation_penalty(outputs)
        # This adds only the gradient of the penalty. The value stays that of the loss.
        loss = loss + (penalty - penalty.detach())
    return loss


class _OutputLoss(torch.autograd.Function):
    """Computes the gradients in the forward pass, even if no backward pass follows."""

    @staticmethod
    def forward(  # noqa: PLR0913, PLR0917 (torch passes them by position)
        ctx: Any,
        outputs: Tensor,
        weight: Tensor,
        bias: Tensor,
        targets: Tensor,
        confidence_penalty: float,
        soft_targets: SoftTargets | None,
    ) -> Tensor:
        dtype = matrix_dtype(weight.device)
        inputs, matrix = outputs.to(dtype), weight.to(dtype)
        grad_outputs = torch.empty_like(inputs)
        grad_weight, grad_bias = torch.zeros_like(weight), torch.zeros_like(bias)
        loss = torch.zeros((), device=weight.device)
        rows = max(MIN_ROWS, MAX_CHUNK_LOGITS // len(weight))
        for start in range(0, len(inputs), rows):
            part = slice(start, start + rows)
            chunk, chunk_targets = inputs[part], targets[part].unsqueeze(1)
            # The buffer holds first the logits, then their exponentials, then the probabilities, then the
            # gradient of the logits. With few symbols, this takes half as long as torch's log_softmax.
            buffer = (chunk @ matrix.t()).float().add_(bias)
            buffer.sub_(buffer.amax(1, keepdim=True))
            loss -= buffer.gather(1, chunk_targets).sum()
            shifted_logits = buffer.clone() if confidence_penalty else None
            sums = buffer.exp_().sum(1, keepdim=True)
            log_sums = sums.log()
            loss += log_sums.sum()
            buffer.div_(sums)
            if shifted_logits is not None:
                log_probabilities = shifted_logits.sub_(log_sums)
                _add_entropy_gradient(buffer, log_probabilities, confidence_penalty)
            # The gradient of the cross-entropy is the softmax minus the distribution of the target.
            target_shares = torch.ones_like(sums)
            if soft_targets is not None:
                target_shares -= soft_targets.subtract_from(buffer, part)
            buffer.scatter_add_(1, chunk_targets, target_shares.neg_())
            grad_bias += buffer.sum(0)
            grad_logits = buffer.to(dtype)
            torch.mm(grad_logits, matrix, out=grad_outputs[part])
            grad_weight += grad_logits.t() @ chunk
        ctx.save_for_backward(grad_outputs.to(outputs.dtype), grad_weight, grad_bias)
        return loss

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, scale: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None, None]:
        grad_outputs, grad_weight, grad_bias = ctx.saved_tensors
        return grad_outputs * scale, grad_weight * scale, grad_bias * scale, None, None, None


def _add_entropy_gradient(
    probabilities: Tensor, log_probabilities: Tensor, confidence_penalty: float
) -> None:
    """Add the gradient of the confidence penalty with respect to the logits to the probabilities, in place.

    The probability p becomes ``p + confidence_penalty * p * (log p + entropy)``.

    Args:
        probabilities: Shape [tokens, vocabulary]. The result replaces them.
        log_probabilities: The same shape. They are overwritten.
        confidence_penalty: Weight of the negative entropy.
    """
    negative_entropy = (probabilities * log_probabilities).sum(1, keepdim=True)
    probabilities.mul_(log_probabilities.sub_(negative_entropy).mul_(confidence_penalty).add_(1.0))
