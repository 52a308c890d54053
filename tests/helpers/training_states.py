"""Shared data and functions of the tests of training states."""

import json
from dataclasses import asdict
from typing import Any, TypeVar

import numpy as np
import torch
from textgen_train.data.token_array import Tokens
from textgen_train.loop.checkpoint import TrainerState
from textgen_train.loop.classic_trainer import ClassicTrainer
from textgen_train.loop.stateful_trainer import StatefulTrainer
from textgen_train.loop.trainer import Trainer
from textgen_train.loop.update import Update
from textgen_train.recipe import Budget, ClassicRecipe, Recipe
from torch import Tensor

Tree = TypeVar("Tree", bound=dict[str, Any])

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
)
ADAMW_ONLY = Recipe(**{**asdict(RECIPE), "muon_lr": 0.0})
CLASSIC = ClassicRecipe(units=8, window=12, window_step=12, batch=16)
EPOCHS = 3


def make_trainer(
    recipe: Recipe | ClassicRecipe,
    threads: int,
    seed: int = 0,
    budget: Budget | None = None,
    text: Tokens = TEXT,
) -> Trainer:
    budget, size = budget or Budget(epochs=EPOCHS), int(text.max()) + 1
    if isinstance(recipe, ClassicRecipe):
        return ClassicTrainer(text, size, recipe, budget, seed, threads=threads)
    return StatefulTrainer(text, size, recipe, budget, seed, threads=threads)


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


def stored(values: Tree) -> Tree:
    """Convert a tree to JSON text and the bytes of its tensors, convert it back, and return the result."""
    tensors: list[tuple[bytes, str, tuple[int, ...]]] = []

    def put(tensor: Any) -> dict[str, int]:
        assert isinstance(tensor, Tensor), f"{tensor!r} is not a plain value"
        array = tensor.numpy()
        tensors.append((array.tobytes(), array.dtype.str, array.shape))
        return {"tensor": len(tensors) - 1}

    def get(node: dict[str, Any]) -> Any:
        if list(node) != ["tensor"]:
            return node
        content, dtype, shape = tensors[node["tensor"]]
        return torch.from_numpy(np.frombuffer(content, dtype).reshape(shape).copy())

    tree: Tree = json.loads(json.dumps(values, default=put, allow_nan=False), object_hook=get)
    return tree


def stored_trainer_state(state: TrainerState) -> TrainerState:
    return TrainerState(**stored(vars(state)))
