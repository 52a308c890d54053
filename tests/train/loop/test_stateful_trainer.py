"""StatefulTrainer: updates, carried state, budgets and optimizers."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from textgen_train.errors import TrainingError
from textgen_train.loop.stateful_trainer import StatefulTrainer
from textgen_train.models.precision import CPU, autocast
from textgen_train.recipe import Budget, Recipe
from torch import nn

from tests.train.loop.test_held_out_loss import step_by_step

SMALL = Recipe(units=16, embedding=8, batch=4, sequence_length=16, warmup=5)


def periodic_text(length: int) -> NDArray[np.int64]:
    """Repeat 0 1 2 3 2 1. The token after 1 or 2 depends on the token before it."""
    return np.resize(np.array([0, 1, 2, 3, 2, 1]), length)


def test_the_held_out_loss_falls() -> None:
    trainer = StatefulTrainer(periodic_text(1200), 4, SMALL, Budget(epochs=12), seed=0)
    updates = list(trainer.updates())
    assert updates[0].nats > 1.0
    assert step_by_step(trainer.model, 1, periodic_text(300).tolist()) < 0.05


def test_the_confidence_penalty_makes_predictions_less_certain() -> None:
    recipe = replace(SMALL, confidence_penalty=1.0)
    trainer, without = (
        StatefulTrainer(periodic_text(1200), 4, values, Budget(epochs=12), seed=0)
        for values in (recipe, SMALL)
    )
    updates = list(trainer.updates())
    # The loss of an update does not include the penalty.
    assert updates[0].nats == next(without.updates()).nats
    # All tokens are predictable. Without the penalty, the loss falls below 0.05.
    assert step_by_step(trainer.model, 1, periodic_text(300).tolist()) > 0.2


def test_the_activation_penalty_makes_outputs_smaller() -> None:
    def mean_square(recipe: Recipe) -> tuple[float, float]:
        trainer = StatefulTrainer(periodic_text(1200), 4, recipe, Budget(epochs=2), seed=0)
        first, *_ = (update.nats for update in trainer.updates())
        outputs, _ = trainer.model.forward_features(
            torch.from_numpy(periodic_text(300))[:, None], trainer.model.initial_state(1)
        )
        return first, float(outputs.detach().square().mean())

    first, square = mean_square(SMALL)
    first_with_penalty, square_with_penalty = mean_square(replace(SMALL, activation_penalty=10.0))
    assert first_with_penalty == first
    assert square_with_penalty < 0.5 * square


@pytest.mark.parametrize("threads", [1, 2])
def test_the_gradients_include_both_penalties(monkeypatch: pytest.MonkeyPatch, threads: int) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict)
    recipe = replace(SMALL, batch=16, grad_clip=1e9, activation_penalty=0.7, confidence_penalty=0.2)
    trainer = StatefulTrainer(periodic_text(600), 4, recipe, Budget(epochs=1), seed=0, threads=threads)
    model = trainer.model
    batch = next(trainer._batches())
    outputs, _ = model.forward_features(batch.inputs, model.initial_state(16))
    log_probabilities = model.output(outputs).log_softmax(-1)
    cross_entropy = nn.functional.nll_loss(log_probabilities.flatten(0, 1), batch.targets.flatten())
    entropy = -(log_probabilities.exp() * log_probabilities).sum(-1).mean()
    objective = cross_entropy + 0.7 * outputs.square().mean() - 0.2 * entropy
    expected = torch.autograd.grad(objective, list(model.parameters()))
    assert trainer._update_weights(batch, 0.0) == pytest.approx(cross_entropy.item(), rel=1e-6)
    for weight, gradient in zip(model.parameters(), expected, strict=True):
        torch.testing.assert_close(weight.grad, gradient, atol=1e-6, rtol=1e-4)


def test_updates_describe_the_progress_of_training() -> None:
    text = periodic_text(1000)
    updates = list(StatefulTrainer(text, 4, SMALL, Budget(epochs=3), seed=0).updates())
    # 4 lanes of 250 characters have 249 targets each, in sequences of 16.
    updates_per_epoch = 16
    assert len(updates) == 3 * updates_per_epoch
    assert [update.step for update in updates] == list(range(1, 3 * updates_per_epoch + 1))
    assert [update.step for update in updates if update.ends_epoch] == [16, 32, 48]
    assert sum(update.targets for update in updates) == 3 * 4 * 249
    assert updates[-1].progress == 1.0
    assert updates[-1].epochs == 3.0
    assert max(update.learning_rate for update in updates) > 50 * updates[-1].learning_rate
    assert [update.seconds for update in updates] == sorted(update.seconds for update in updates)


def test_a_budget_of_minutes_ends_the_training() -> None:
    updates = list(StatefulTrainer(periodic_text(1000), 4, SMALL, Budget(minutes=0.005), seed=0).updates())
    assert all(update.progress < 1.0 for update in updates[:-1])
    # The budget may also be used up between two updates.
    assert updates[-1].seconds >= 0.29


def test_a_time_that_is_over_allows_for_one_update() -> None:
    trainer = StatefulTrainer(periodic_text(1000), 4, SMALL, Budget(minutes=1), seed=0)
    trainer.count_seconds(60.0)
    assert [update.progress for update in trainer.updates()] == [1.0]


def test_the_state_is_carried_within_an_epoch_and_reset_between_epochs() -> None:
    trainer = StatefulTrainer(periodic_text(1000), 4, SMALL, Budget(epochs=2), seed=0)
    input_states: list[Any] = []
    output_states: list[Any] = []
    forward_features = trainer.model.forward_features

    def spy(tokens: torch.Tensor, state: Any) -> Any:
        outputs, next_state = forward_features(tokens, state)
        input_states.append(state)
        output_states.append(next_state)
        return outputs, next_state

    trainer.model.forward_features = spy  # type: ignore[method-assign]
    list(trainer.updates())
    assert len(input_states) == 32
    for i, state in enumerate(input_states):
        for part in ("hidden", "cell"):
            assert not state[part].requires_grad
            if i % 16 == 0:
                assert not state[part].any()
            else:
                torch.testing.assert_close(state[part], output_states[i - 1][part].detach().float())


def test_a_seed_and_a_budget_of_epochs_reproduce_the_weights() -> None:
    def train(seed: int) -> list[torch.Tensor]:
        trainer = StatefulTrainer(periodic_text(600), 4, SMALL, Budget(epochs=2), seed=seed)
        list(trainer.updates())
        return [parameter.detach() for parameter in trainer.model.parameters()]

    first, again, other = train(1), train(1), train(2)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(first, other, strict=True))


@pytest.mark.parametrize("length", [128, 131, 200])
def test_training_works_on_short_texts(length: int) -> None:
    trainer = StatefulTrainer(
        periodic_text(length), 4, Recipe(units=4, embedding=2), Budget(epochs=2), seed=0
    )
    updates = list(trainer.updates())
    assert updates[-1].ends_epoch
    assert updates[-1].epochs == 2.0


def test_a_text_without_a_target_is_an_error() -> None:
    with pytest.raises(ValueError, match="the text has 1 tokens, but training needs at least 2"):
        StatefulTrainer(periodic_text(1), 4, SMALL, Budget(epochs=1), seed=0)
    (update,) = StatefulTrainer(periodic_text(2), 4, SMALL, Budget(epochs=1), seed=0).updates()
    assert update.targets == 1


def test_a_nan_loss_is_an_error() -> None:
    recipe = Recipe(units=16, embedding=8, learning_rate=1e9, warmup=0)
    trainer = StatefulTrainer(periodic_text(1200), 4, recipe, Budget(epochs=50), seed=0)
    with pytest.raises(TrainingError, match="try lower learning rates"):
        list(trainer.updates())


def test_bfloat16_is_used_if_the_processor_supports_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for instructions, expected in (({"avx512_bf16": True}, True), ({"avx2": True}, False), ({}, False)):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda answer=instructions: answer)
        with autocast(CPU):
            assert torch.is_autocast_enabled("cpu") is expected
            # A cache would be shared by the threads of the replicas.
            assert not torch.is_autocast_cache_enabled()


@pytest.mark.parametrize(("muon_lr", "names"), [(0.02, {"AdamW", "Muon"}), (0.0, {"AdamW"})])
def test_every_weight_has_exactly_one_optimizer(muon_lr: float, names: set[str]) -> None:
    recipe = replace(SMALL, muon_lr=muon_lr)
    trainer = StatefulTrainer(periodic_text(600), 4, recipe, Budget(epochs=1), seed=0)
    assert {type(optimizer).__name__ for optimizer, _ in trainer._optimizers} == names
    optimized = [
        weight
        for optimizer, _ in trainer._optimizers
        for group in optimizer.param_groups
        for weight in group["params"]
    ]
    assert sorted(map(id, optimized)) == sorted(map(id, trainer.model.parameters()))
    before = [weight.detach().clone() for weight in trainer.model.parameters()]
    list(trainer.updates())
    assert not any(
        torch.equal(old, new.detach()) for old, new in zip(before, trainer.model.parameters(), strict=True)
    )
