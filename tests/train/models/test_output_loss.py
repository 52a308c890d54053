"""The fused output layer and loss, compared with torch's own functions, and the penalties."""

import pytest
import torch
from textgen_train.models import output_loss as module
from textgen_train.models.output_loss import SoftTargets, activation_penalty, output_loss
from torch import nn


@pytest.mark.parametrize("tokens", [1, 7, 40])
@pytest.mark.parametrize("vocabulary", [2, 30, 1000])
@pytest.mark.parametrize("penalty", [0.0, 0.3])
def test_loss_and_gradients_equal_those_of_torch_and_the_confidence_penalty_is_only_in_the_gradients(
    monkeypatch: pytest.MonkeyPatch, tokens: int, vocabulary: int, penalty: float
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict)
    # Several chunks; the last one has fewer rows.
    monkeypatch.setattr(module, "MAX_CHUNK_LOGITS", 3 * vocabulary)
    monkeypatch.setattr(module, "MIN_ROWS", 1)
    torch.manual_seed(0)
    outputs = torch.randn(tokens, 6, requires_grad=True)
    weight, bias = torch.randn(vocabulary, 6, requires_grad=True), torch.randn(vocabulary, requires_grad=True)
    targets = torch.randint(vocabulary, (tokens,))
    log_probabilities = nn.functional.linear(outputs, weight, bias).log_softmax(1)
    cross_entropy = nn.functional.nll_loss(log_probabilities, targets, reduction="sum")
    entropy = -(log_probabilities.exp() * log_probabilities).sum()
    loss = output_loss(outputs, weight, bias, targets, confidence_penalty=penalty)
    torch.testing.assert_close(loss, cross_entropy)
    for gradient, expected in zip(
        torch.autograd.grad(3 * loss, [outputs, weight, bias]),
        torch.autograd.grad(3 * (cross_entropy - penalty * entropy), [outputs, weight, bias]),
        strict=True,
    ):
        torch.testing.assert_close(gradient, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("penalty", [0.0, 0.3])
@pytest.mark.parametrize("likeliest", [None, 4], ids=["all tokens", "some tokens"])
def test_soft_targets_are_only_in_the_gradients(
    monkeypatch: pytest.MonkeyPatch, penalty: float, likeliest: int | None
) -> None:
    """The target has what the shares leave. Two of the rows have no shares."""
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict)
    monkeypatch.setattr(module, "MAX_CHUNK_LOGITS", 3 * 9)
    monkeypatch.setattr(module, "MIN_ROWS", 1)
    torch.manual_seed(0)
    values = [torch.randn(shape, dtype=torch.float64) for shape in ((10, 6), (9, 6), (9,))]
    targets = torch.randint(9, (10,))
    probabilities = torch.randn(10, 9, dtype=torch.float64).softmax(1)
    probabilities[3:5] = 0.0
    tokens = None
    if likeliest:
        shares, tokens = (0.7 * probabilities).topk(likeliest)
        soft = torch.zeros_like(probabilities).scatter_(1, tokens, shares)
    else:
        soft = shares = 0.7 * probabilities
    rest = 1.0 - soft.sum(1, keepdim=True)
    distribution = soft.scatter_add(1, targets.unsqueeze(1), rest)
    exact = [value.clone().requires_grad_() for value in values]
    log_probabilities = nn.functional.linear(*exact).log_softmax(1)
    entropy = -(log_probabilities.exp() * log_probabilities).sum()
    definition = -(distribution * log_probabilities).sum() - penalty * entropy
    rounded = outputs, weight, bias = [value.float().requires_grad_() for value in values]
    loss = output_loss(outputs, weight, bias, targets, penalty, SoftTargets(shares.float(), tokens))
    nats = nn.functional.nll_loss(log_probabilities, targets, reduction="sum")
    torch.testing.assert_close(loss.double(), nats, atol=1e-4, rtol=1e-5)
    for gradient, expected in zip(
        torch.autograd.grad(3 * loss, rounded), torch.autograd.grad(3 * definition, exact), strict=True
    ):
        torch.testing.assert_close(gradient.double(), expected, atol=2e-5, rtol=1e-5)


def test_bfloat16_is_close_to_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    monkeypatch.setattr(module, "MAX_CHUNK_LOGITS", 20 * 16)
    torch.manual_seed(0)
    outputs = torch.randn(50, 16, requires_grad=True)
    weight, bias = (torch.randn(20, 16) / 4).requires_grad_(), torch.randn(20, requires_grad=True)
    targets = torch.randint(20, (50,))
    expected = nn.functional.cross_entropy(
        nn.functional.linear(outputs, weight, bias), targets, reduction="sum"
    )
    loss = output_loss(outputs, weight, bias, targets)
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(expected.item(), rel=0.01)
    for gradient, expected_gradient in zip(
        torch.autograd.grad(loss, [outputs, weight, bias]),
        torch.autograd.grad(expected, [outputs, weight, bias]),
        strict=True,
    ):
        assert (gradient - expected_gradient).norm() < 0.02 * expected_gradient.norm()


def test_large_logits_do_not_overflow() -> None:
    outputs, weight = torch.tensor([[1e4]]), torch.tensor([[1.0], [-1.0]])
    bias = torch.zeros(2)
    assert output_loss(outputs, weight, bias, torch.tensor([0])).item() == 0.0
    assert output_loss(outputs, weight, bias, torch.tensor([1])).item() == pytest.approx(2e4, rel=0.01)


def test_confidence_penalty_of_certain_predictions_is_finite() -> None:
    outputs = torch.tensor([[1e4]], requires_grad=True)
    weight, bias = torch.tensor([[1.0], [-1.0]]), torch.zeros(2)
    loss = output_loss(outputs, weight, bias, torch.tensor([0]), confidence_penalty=0.1)
    assert torch.autograd.grad(loss, outputs)[0].item() == 0.0


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
