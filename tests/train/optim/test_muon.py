"""The optimiser of the LSTM's matrices."""

import numpy as np
import pytest
import torch
from textgen_train.optim import muon
from textgen_train.optim.muon import ADAMW_SCALE, Muon, orthogonal


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
@pytest.mark.parametrize("shape", [(48, 12), (12, 48), (20, 20), (8, 1)])
def test_all_directions_of_an_update_weigh_about_the_same(
    monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype, shape: tuple[int, int]
) -> None:
    monkeypatch.setattr(muon, "matrix_dtype", lambda: dtype)
    torch.manual_seed(0)
    left, _, right = torch.linalg.svd(torch.randn(shape), full_matrices=False)
    # A gradient with one direction ten times as strong as the weakest.
    strengths = torch.linspace(1.0, 0.1, min(shape))
    found = orthogonal(left @ torch.diag(strengths) @ right)
    assert found.shape == shape
    assert found.dtype == torch.float32
    # In the gradient's own directions, since only the strengths change.
    turned = left.mT @ found @ right.mT
    assert torch.all((torch.diag(turned) > 0.6) & (torch.diag(turned) < 1.3))
    assert (turned - torch.diag(torch.diag(turned))).abs().max() < 0.05


def test_a_step_goes_against_the_gradient_by_the_learning_rate() -> None:
    torch.manual_seed(0)
    before = torch.randn(40, 10)
    weight = before.clone().requires_grad_()
    weight.grad = torch.randn(40, 10)
    Muon([weight], lr=0.1, weight_decay=0.0).step()
    change = weight.detach() - before
    expected = -0.1 * ADAMW_SCALE * np.sqrt(40) * orthogonal(weight.grad)
    torch.testing.assert_close(change, expected, atol=2e-3, rtol=0)
    assert torch.sum(change * weight.grad) < 0


def test_weights_decay_by_their_share_of_the_learning_rate() -> None:
    weight = torch.ones(4, 4, requires_grad=True)
    weight.grad = torch.zeros(4, 4)
    Muon([weight], lr=0.1, weight_decay=0.5).step()
    torch.testing.assert_close(weight.detach(), torch.full((4, 4), 0.95))


def test_momentum_remembers_earlier_gradients() -> None:
    torch.manual_seed(0)
    weight = torch.zeros(6, 6, requires_grad=True)
    optimizer = Muon([weight], lr=0.1, weight_decay=0.0)
    weight.grad = torch.randn(6, 6)
    optimizer.step()
    after_one = weight.detach().clone()
    weight.grad = torch.zeros(6, 6)
    optimizer.step()
    assert torch.sum((weight.detach() - after_one) * after_one) > 0
