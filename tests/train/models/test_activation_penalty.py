"""The penalty on large outputs of the last layer."""

import torch
from textgen_train.models.output_loss import activation_penalty


def test_the_penalty_is_the_mean_square_summed_over_the_tokens() -> None:
    outputs = torch.tensor([[1.0, -3.0], [0.5, 0.0]], requires_grad=True)
    penalty = activation_penalty(outputs)
    assert penalty.item() == (1 + 9) / 2 + 0.25 / 2
    (gradient,) = torch.autograd.grad(penalty, outputs)
    torch.testing.assert_close(gradient, outputs.detach())


def test_the_penalty_of_bfloat16_outputs_is_float32() -> None:
    outputs = torch.full((3, 1000), 0.5, dtype=torch.bfloat16)
    penalty = activation_penalty(outputs)
    assert penalty.dtype == torch.float32
    assert penalty.item() == 0.75
