"""Activation regularization: a penalty on large outputs of the last layer."""

from torch import Tensor


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
