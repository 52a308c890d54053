"""Shared data and functions of the tests of training states."""

import copy
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from textgen_runtime.tokenizer import NO_SPECIAL_TOKENS, SpecialTokens
from textgen_train.data.tokens import Tokens
from textgen_train.loop.checkpoint import TrainerState
from textgen_train.loop.events import Update
from textgen_train.loop.trainer import Trainer
from textgen_train.recipe import Budget, ClassicRecipe, Recipe
from torch import Tensor

# 16 lanes of 40 characters, or batches of 16 windows. Two replicas have 8 lanes or windows each.
TEXT = np.random.default_rng(0).integers(4, size=16 * 40)
RECIPE = Recipe(
    units=12,
    layers=2,
    embedding=4,
    batch=16,
    sequence_length=12,
    warmup=3,
    dropout=0.2,
    input_dropout=0.1,
    weight_dropout=0.2,
    activation_penalty=0.5,
    confidence_penalty=0.1,
)
ADAMW_ONLY = Recipe(**{**asdict(RECIPE), "muon_lr": 0.0})
CLASSIC = ClassicRecipe(units=8, window=12, window_step=12, batch=16)
EPOCHS = 3

# 40 records of up to 30 tokens, and the tokens that begin and end each of them.
SPECIAL = SpecialTokens(None, 4, 5)
RECORDS = np.concatenate([[*TEXT[i : i + 12 * i % 31], SPECIAL.end] for i in range(40)])


def make_trainer(  # noqa: PLR0913 (most have defaults)
    recipe: Recipe | ClassicRecipe,
    threads: int,
    seed: int = 0,
    budget: Budget | None = None,
    text: Tokens = TEXT,
    *,
    special: SpecialTokens = NO_SPECIAL_TOKENS,
) -> Trainer:
    budget, size = budget or Budget(epochs=EPOCHS), int(text.max()) + 1
    return Trainer(text, size, recipe, budget, seed, special=special, threads=threads)


def weights_of(trainer: Trainer) -> dict[str, Tensor]:
    return {name: weight.detach().clone() for name, weight in trainer.model.named_parameters()}


def same(first: Any, second: Any) -> bool:
    """Whether two trees have equal values and bitwise equal tensors."""
    if isinstance(first, Tensor):
        return isinstance(second, Tensor) and first.dtype == second.dtype and torch.equal(first, second)
    if isinstance(first, dict):
        return list(first) == list(second) and all(same(first[name], second[name]) for name in first)
    if isinstance(first, list):
        return len(first) == len(second) and all(map(same, first, second))
    return type(first) is type(second) and bool(first == second)


def without_time(update: Update) -> dict[str, Any]:
    return {name: value for name, value in asdict(update).items() if name != "seconds"}


def check_every_stop(create: Callable[[int], Trainer]) -> list[TrainerState]:
    """Check that a trainer that is stopped after any update, and restored, ends with the same weights.

    One other trainer is restored from all states, so that nothing of an earlier run may stay in it. Neither
    later updates nor a restored trainer change a state.

    Args:
        create: Creates a trainer with a seed. The restored trainer has another seed, which has no effect.

    Returns:
        The state before the first update, and after each update.
    """
    trainer = create(0)
    states, updates = [trainer.state()], []
    before = [copy.deepcopy(vars(states[0]))]
    for update in trainer.updates():
        updates.append(update)
        states.append(trainer.state())
        before.append(copy.deepcopy(vars(states[-1])))
    expected = weights_of(trainer)
    assert len(updates) == (trainer.budget.epochs or 0) * trainer.updates_per_epoch
    other = create(1)
    for step in (*range(1, len(states)), 0):
        other.restore(states[step])
        assert same(vars(other.state()), before[step])
        remaining = list(other.updates())
        assert list(map(without_time, remaining)) == list(map(without_time, updates[step:]))
        assert same(weights_of(other), expected), f"stopped after {step} updates"
    assert same(list(map(vars, states)), before)
    return states
