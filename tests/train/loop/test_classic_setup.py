"""Trainer: the textbook's experiment."""

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from textgen_train.loop.classic_setup import classic_network
from textgen_train.loop.trainer import Trainer
from textgen_train.recipe import Budget, ClassicRecipe
from torch import Tensor, nn

SMALL = ClassicRecipe(units=16, window=12, batch=16)


def song(length: int) -> NDArray[np.int64]:
    """Repeat 0 1 2 3 2 1."""
    return np.resize(np.array([0, 1, 2, 3, 2, 1]), length)


@pytest.mark.parametrize(("symbols", "parameters"), [(59, 103_867), (57, 102_585)])
def test_the_number_of_parameters_is_that_of_keras(symbols: int, parameters: int) -> None:
    assert classic_network(symbols, ClassicRecipe().units).parameter_count == parameters


def test_the_initial_weights_are_those_of_keras() -> None:
    torch.manual_seed(0)
    network = classic_network(57, 128)
    weights = dict(network.named_parameters())
    torch.testing.assert_close(weights["embedding.weight"].detach(), torch.eye(57))
    recurrent = weights["layers.0.weight_hh_l0"].detach()
    torch.testing.assert_close(recurrent.mT @ recurrent, torch.eye(128), atol=1e-5, rtol=0)
    for name, limit in (
        ("layers.0.weight_ih_l0", math.sqrt(6 / (57 + 512))),
        ("output.weight", math.sqrt(6 / (128 + 57))),
    ):
        assert 0.98 * limit < weights[name].abs().max() <= limit
    bias = weights["layers.0.bias_ih_l0"].detach().view(4, 128)
    assert bias.sum(dim=1).tolist() == [0.0, 128.0, 0.0, 0.0]
    assert not weights["output.bias"].any()


def test_the_one_hot_matrix_and_the_second_bias_are_not_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict)
    trainer = Trainer(song(200), 4, SMALL, Budget(epochs=1), seed=0)
    before = {name: weight.detach().clone() for name, weight in trainer.model.named_parameters()}
    list(trainer.updates())
    changed = {
        name
        for name, weight in trainer.model.named_parameters()
        if not torch.equal(weight.detach(), before[name])
    }
    assert changed == set(before) - {"embedding.weight", "layers.0.bias_hh_l0"}


def test_each_epoch_has_every_window_once_in_a_new_order() -> None:
    text = np.random.default_rng(0).integers(9, size=100)
    trainer = Trainer(text, 9, SMALL, Budget(epochs=1), seed=0)
    expected = [(*text[i : i + 12], text[i + 12]) for i in range(0, 100 - 12, 3)]

    def epoch(seed: int) -> list[tuple[int, ...]]:
        batches = list(trainer._batches.epoch(seed))
        assert [batch.count for batch in batches] == [16, 14]
        return [
            (*window, target)
            for batch in batches
            for window, target in zip(batch.inputs.t().tolist(), batch.targets[-1].tolist(), strict=True)
        ]

    first, second = epoch(0), epoch(1)
    assert sorted(first) == sorted(second) == sorted(expected)
    assert first != second
    assert expected not in (first, second)


def test_an_update_is_a_step_of_rmsprop_on_the_mean_loss(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Compare with torch's LSTM on one-hot vectors and an explicit update."""
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict)
    trainer = Trainer(song(60), 4, SMALL, Budget(epochs=1), seed=0)
    lstm, output = nn.LSTM(4, 16), nn.Linear(16, 4)
    for clone, model in ((lstm, trainer.model.layers[0]), (output, trainer.model.output)):
        clone.load_state_dict(dict(model.named_parameters()))
    batch = next(iter(trainer._batches.epoch(0)))
    hidden, _ = lstm(nn.functional.one_hot(batch.inputs, 4).float())
    loss = nn.functional.cross_entropy(output(hidden[-1]), batch.targets[-1])
    loss.backward()  # type: ignore[no-untyped-call]
    assert trainer._learner.update(batch, 1.0) == pytest.approx(loss.item(), abs=1e-5)

    def expected_weight(weight: Tensor) -> Tensor:
        assert weight.grad is not None
        square = 0.1 * weight.grad**2
        return weight - 0.01 * weight.grad / (square.sqrt() + 1e-7)

    torch.testing.assert_close(
        trainer.model.output.weight.detach(), expected_weight(output.weight).detach(), atol=1e-4, rtol=0
    )


def test_the_loss_falls_at_a_constant_learning_rate() -> None:
    trainer = Trainer(song(1200), 4, SMALL, Budget(epochs=4), seed=0)
    updates = list(trainer.updates())
    assert {update.learning_rate for update in updates} == {0.01}
    assert [update.step for update in updates if update.ends_epoch] == [25, 50, 75, 100]
    assert updates[0].nats > 1.2
    assert np.mean([update.nats for update in updates[-25:]]) < 0.2


def test_a_text_that_is_too_short_for_a_window_is_an_error() -> None:
    with pytest.raises(ValueError, match="the text has 12 characters, but a window and its target need 13"):
        Trainer(song(12), 4, SMALL, Budget(epochs=1), seed=0)
    Trainer(song(13), 4, SMALL, Budget(epochs=1), seed=0)
