"""Training on records: their loss, and the state of the trainer."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from textgen_train.errors import TrainingError
from textgen_train.loop import replicas
from textgen_train.loop.trainer import Trainer
from textgen_train.recipe import Budget, Recipe
from torch import nn

from tests.helpers.training_states import RECIPE, RECORDS, SPECIAL, check_every_stop, make_trainer
from tests.train.loop.test_held_out_loss import step_by_step

# With so low a learning rate, the weights do not change.
STILL = Recipe(
    units=12,
    embedding=4,
    batch=16,
    sequence_length=12,
    muon_lr=0,
    learning_rate=1e-9,
    weight_decay=0,
    activation_penalty=0.5,
    confidence_penalty=0.1,
)


# Batches have one, two or three of them.
TEN_RECORDS = RECORDS[: np.flatnonzero(SPECIAL.end == RECORDS)[9] + 1]


def make_record_trainer(threads: int, seed: int = 0) -> Trainer:
    return make_trainer(RECIPE, threads, seed, Budget(epochs=1), TEN_RECORDS, special=SPECIAL)


@pytest.mark.parametrize("threads", [1, 3])
def test_the_loss_is_that_of_each_record_from_the_initial_state(
    monkeypatch: pytest.MonkeyPatch, threads: int
) -> None:
    """Long records are cut into sequences, and some batches have fewer lanes than there are replicas."""
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict)
    monkeypatch.setattr(replicas, "MIN_LANES", 2)
    text = np.concatenate([RECORDS, np.resize(np.arange(4), 50), [SPECIAL.end]])
    trainer = Trainer(text, 6, STILL, Budget(epochs=2), 0, special=SPECIAL, threads=threads)
    assert len(trainer.replicas) == threads
    batches = list(trainer._batches.epoch(0))
    assert {batch.inputs.shape[1] for batch in batches} > {1}
    assert {batch.is_start for batch in batches} == {True, False}
    updates = list(trainer.updates())
    assert len(updates) == 2 * len(batches)
    assert sum(update.targets for update in updates) == 2 * len(text)
    total = sum(update.nats * update.targets for update in updates) / 2
    records = np.split(text, np.flatnonzero(text == SPECIAL.end) + 1)[:-1]
    begin = SPECIAL.begin or 0
    expected = sum(step_by_step(trainer.model, begin, list(map(int, part))) * len(part) for part in records)
    assert total == pytest.approx(expected, rel=1e-4)


def test_padding_has_no_effect_on_the_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict)
    text = np.array([0, 1, 2, SPECIAL.end, 3, 2, 1, 0, 3, SPECIAL.end])
    trainer = Trainer(text, 6, STILL, Budget(epochs=1), 0, special=SPECIAL, threads=1)
    (batch,) = trainer._batches.epoch(0)
    gradients = []
    for padding in (0, 3):
        filled = torch.where(batch.targets < 0, padding, batch.inputs)
        trainer._learner.update(replace(batch, inputs=filled), 0.0)
        gradients.append([weight.grad for weight in trainer.model.parameters()])
    assert not torch.equal(batch.inputs, filled)
    assert all(torch.equal(a, b) for a, b in zip(*gradients, strict=True) if a is not None and b is not None)


def test_all_tokens_of_an_epoch_have_the_same_weight(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few lanes reach the ends of long records together. A larger weight would make ends too likely."""
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict)
    recipe = replace(STILL, activation_penalty=0, confidence_penalty=0, grad_clip=1e9)
    text = np.concatenate([[*np.resize(np.arange(4), length), SPECIAL.end] for length in (35, 25, 47, 5, 6)])
    trainer = Trainer(text, 6, recipe, Budget(epochs=1), 0, special=SPECIAL, threads=1)
    output = trainer.model.output
    for weight in output.parameters():
        nn.init.zeros_(weight)
    total = torch.zeros(6)
    batches = list(trainer._batches.epoch(0))
    for batch in batches:
        trainer._learner.update(batch, 0.0)
        assert output.bias.grad is not None
        total += output.bias.grad
    # Of uniform predictions.
    expected = len(batches) * (1 / 6 - np.bincount(text, minlength=6) / len(text))
    assert total.numpy() == pytest.approx(expected, abs=1e-6)


def test_a_run_stopped_after_any_update_ends_with_the_same_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replicas, "MIN_LANES", 1)
    assert len(make_record_trainer(2).replicas) == 2
    states = check_every_stop(lambda seed: make_record_trainer(2, seed))
    assert len({state.carried_state["hidden"].shape[1] for state in states}) > 1


def test_the_state_of_a_text_does_not_fit_records() -> None:
    trainer = make_record_trainer(1)
    state = trainer.state()
    lanes = trainer._batches.max_lanes
    too_many = {name: torch.zeros(2, lanes + 1, 12) for name in state.carried_state}
    for carried in (too_many, {}):
        with pytest.raises(TrainingError, match="the training state has another number of lanes"):
            trainer.restore(replace(state, carried_state=carried))
