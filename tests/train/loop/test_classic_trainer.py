"""The textbook's experiment."""

import math

import numpy as np
import pytest
import textgen_runtime as textgen
import torch
from numpy.typing import NDArray
from textgen_runtime.generation.loading import open_model
from textgen_runtime.model_file.metadata import Metadata
from textgen_runtime.text.character_tokenizer import CharacterTokenizer
from textgen_train.export.exporter import build_checked
from textgen_train.loop.classic_trainer import ClassicTrainer, classic_network
from textgen_train.recipe import Budget, ClassicRecipe
from torch import Tensor, nn

SMALL = ClassicRecipe(units=16, window=12, batch=16)


def song(length: int) -> NDArray[np.int64]:
    """0 1 2 3 2 1 over and over."""
    return np.resize(np.array([0, 1, 2, 3, 2, 1]), length)


@pytest.mark.parametrize(("symbols", "parameters"), [(59, 103_867), (57, 102_585)])
def test_it_has_as_many_parameters_as_keras_has(symbols: int, parameters: int) -> None:
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


def test_what_keras_does_not_learn_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict)
    trainer = ClassicTrainer(song(200), 4, SMALL, Budget(epochs=1), seed=0)
    before = {name: weight.detach().clone() for name, weight in trainer.model.named_parameters()}
    list(trainer.updates())
    moved = {
        name
        for name, weight in trainer.model.named_parameters()
        if not torch.equal(weight.detach(), before[name])
    }
    assert moved == set(before) - {"embedding.weight", "layers.0.bias_hh_l0"}


def test_a_pass_reads_each_window_once_in_another_order_each_time() -> None:
    text = np.random.default_rng(0).integers(9, size=100)
    trainer = ClassicTrainer(text, 9, SMALL, Budget(epochs=1), seed=0)
    expected = [(*text[i : i + 12], text[i + 12]) for i in range(0, 100 - 12, 3)]

    def one_pass() -> list[tuple[int, ...]]:
        pairs = list(trainer._batches())
        assert [len(targets) for _, targets in pairs] == [16, 14]
        return [
            (*window, target)
            for inputs, targets in pairs
            for window, target in zip(inputs.t().tolist(), targets.tolist(), strict=True)
        ]

    first, second = one_pass(), one_pass()
    assert sorted(first) == sorted(second) == sorted(expected)
    assert first != second
    assert expected not in (first, second)


def test_no_one_hot_array_of_the_text_is_made() -> None:
    trainer = ClassicTrainer(song(5000), 4, SMALL, Budget(epochs=1), seed=0, threads=1)
    # The windows overlap and share the text's own memory.
    assert trainer._windows.untyped_storage().nbytes() == 5000 * 8
    shapes: list[torch.Size] = []
    trainer.model.embedding.register_forward_hook(lambda _, __, output: shapes.append(output.shape))
    list(trainer.updates())
    assert max(shape.numel() for shape in shapes) == 12 * 16 * 4


def test_an_update_is_rmsprop_on_the_mean_loss_of_the_targets(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Against a network of the same weights that reads one-hot vectors and is stepped by hand."""
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict)
    trainer = ClassicTrainer(song(60), 4, SMALL, Budget(epochs=1), seed=0)
    lstm, output = nn.LSTM(4, 16), nn.Linear(16, 4)
    for clone, model in ((lstm, trainer.model.layers[0]), (output, trainer.model.output)):
        clone.load_state_dict(dict(model.named_parameters()))
    inputs, targets = next(trainer._batches())
    hidden, _ = lstm(nn.functional.one_hot(inputs, 4).float())
    loss = nn.functional.cross_entropy(output(hidden[-1]), targets)
    loss.backward()  # type: ignore[no-untyped-call]
    assert trainer._learn(inputs, targets, 1.0) == pytest.approx(loss.item(), abs=1e-5)

    def stepped(weight: Tensor) -> Tensor:
        assert weight.grad is not None
        square = 0.1 * weight.grad**2
        return weight - 0.01 * weight.grad / (square.sqrt() + 1e-7)

    torch.testing.assert_close(
        trainer.model.output.weight.detach(), stepped(output.weight).detach(), atol=1e-4, rtol=0
    )


def test_it_learns_and_its_learning_rate_stays() -> None:
    trainer = ClassicTrainer(song(1200), 4, SMALL, Budget(epochs=4), seed=0)
    updates = list(trainer.updates())
    assert {update.learning_rate for update in updates} == {0.01}
    assert [update.step for update in updates if update.ends_epoch] == [25, 50, 75, 100]
    assert updates[0].nats > 1.2
    assert np.mean([update.nats for update in updates[-25:]]) < 0.2


def test_it_is_exported_to_the_same_contract() -> None:
    trainer = ClassicTrainer(song(300), 4, SMALL, Budget(epochs=1), seed=0)
    list(trainer.updates())
    exported = build_checked(trainer.model, Metadata(CharacterTokenizer("abcd")))
    assert isinstance(open_model(exported.content, "native"), textgen.Model)
    assert exported.model.generate("ab", length=20, seed=1)


def test_a_text_without_a_window_is_an_error() -> None:
    with pytest.raises(ValueError, match="holds no window of 12"):
        ClassicTrainer(song(12), 4, SMALL, Budget(epochs=1), seed=0)
    ClassicTrainer(song(13), 4, SMALL, Budget(epochs=1), seed=0)
