"""Muon: orthogonalization and threads. ``test_reference_updates.py`` has the other parts of an update."""

from collections.abc import Callable
from functools import partial

import pytest
import torch
from textgen_train.loop.replicas import Replicas
from textgen_train.models.cells import CharLSTM
from textgen_train.optim import Muon, orthogonalize


@pytest.mark.parametrize("shape", [(48, 12), (12, 48), (20, 20), (8, 1)])
def test_orthogonalization_moves_all_singular_values_close_to_one(
    shape: tuple[int, int],
) -> None:
    torch.manual_seed(0)
    left, _, right = torch.linalg.svd(torch.randn(shape), full_matrices=False)
    singular_values = torch.linspace(1.0, 0.1, min(shape))
    result = orthogonalize(left @ torch.diag(singular_values) @ right)
    assert result.shape == shape
    assert result.dtype == torch.float32
    # The singular vectors stay the same, so this product is diagonal.
    product = left.mT @ result @ right.mT
    assert torch.all((torch.diag(product) > 0.6) & (torch.diag(product) < 1.3))
    assert (product - torch.diag(torch.diag(product))).abs().max() < 0.05


@pytest.mark.parametrize("optimizer_class", [Muon, partial(torch.optim.AdamW, fused=True)])
def test_threads_do_not_change_a_step(optimizer_class: Callable[..., torch.optim.Optimizer]) -> None:
    def train(threads: int) -> list[torch.Tensor]:
        torch.manual_seed(0)
        model = CharLSTM(5, units=12, layers=3, embedding=4)
        replicas = Replicas(model, 32, threads)
        optimizers = [optimizer_class([matrix], lr=0.1, weight_decay=0.1) for matrix in model.layer_matrices]
        for _ in range(3):
            for weight in model.layer_matrices:
                weight.grad = torch.randn(weight.shape)
            replicas.for_each(lambda optimizer: optimizer.step(), optimizers)
        return [weight.detach() for weight in model.layer_matrices]

    one, three = train(1), train(3)
    assert len(one) == len(three) == 6
    assert all(map(torch.equal, one, three))
