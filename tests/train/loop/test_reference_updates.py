"""Trainer, compared with a definition of its updates in plain torch, in float64."""

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from textgen_train.loop import replicas
from textgen_train.loop.seeds import derive_seed
from textgen_train.loop.trainer import Trainer
from textgen_train.recipe import Budget, Recipe
from torch import Tensor, nn

# Three sequences per epoch, of 6, 6 and 3 tokens. Two tokens at the end of the text are unused. The norm of
# the gradient is above grad_clip in some updates, and below it in others.
RECIPE = Recipe(
    units=6,
    layers=2,
    embedding=3,
    batch=4,
    sequence_length=6,
    muon_lr=0.03,
    muon_weight_decay=0.6,
    learning_rate=0.02,
    weight_decay=0.8,
    activation_penalty=0.5,
    confidence_penalty=0.1,
    grad_clip=0.2,
    warmup=3,
)
TARGETS_PER_UPDATE = 4 * (6 + 6 + 3) / 3
SEED, EPOCHS, SYMBOLS = 7, 2, 5
# The vocabulary has one more symbol than the text.
TEXT = np.random.default_rng(1).choice(4, size=4 * 16 + 2, p=[0.5, 0.3, 0.15, 0.05])


class Network(nn.Module):
    """Torch's layers, with the names that they have in the trained network."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(SYMBOLS, RECIPE.embedding)
        self.layers = nn.ModuleList(
            [nn.LSTM(RECIPE.embedding, RECIPE.units), nn.LSTM(RECIPE.units, RECIPE.units)]
        )
        self.output = nn.Linear(RECIPE.units, SYMBOLS)


def epochs() -> Iterator[list[tuple[Tensor, Tensor]]]:
    """Yield the inputs and the targets of each epoch, whose first lane begins at a random token."""
    length = len(TEXT) // RECIPE.batch
    for epoch in range(EPOCHS):
        rotated = np.roll(TEXT, -random.Random(derive_seed(SEED, "order", epoch)).randrange(len(TEXT)))[
            : RECIPE.batch * length
        ]
        lanes = torch.from_numpy(rotated.reshape(RECIPE.batch, length).T.copy())
        yield [
            (lanes[start : min(start + 6, length - 1)], lanes[start + 1 : start + 7])
            for start in range(0, length - 1, 6)
        ]


def learning_rate_factor(step: int) -> float:
    progress = step / (3 * EPOCHS)
    warmup = max((step + 1) / RECIPE.warmup, 10 * progress)
    return math.sqrt(128 / RECIPE.units) * min(1, warmup) * (1 + math.cos(math.pi * progress)) / 2


def orthogonalized(matrix: Tensor) -> Tensor:
    """Three steps of the Newton-Schulz iteration."""
    x: Tensor = matrix / matrix.norm()
    for _ in range(3):
        x = 3.4445 * x - 4.7750 * x @ x.mT @ x + 2.0315 * x @ x.mT @ x @ x.mT @ x
    return x


def step_muon(weight: Tensor, gradient: Tensor, state: dict[str, Any], rate: float) -> None:
    momentum = state["momentum"] = 0.95 * state.get("momentum", 0) + 0.05 * gradient
    update = 0.2 * math.sqrt(max(weight.shape)) * orthogonalized(0.05 * gradient + 0.95 * momentum)
    weight.copy_(weight * (1 - rate * RECIPE.muon_weight_decay) - rate * update)


def step_adamw(weight: Tensor, gradient: Tensor, state: dict[str, Any], rate: float) -> None:
    step = state["step"] = state.get("step", 0) + 1
    mean = state["exp_avg"] = 0.9 * state.get("exp_avg", 0) + 0.1 * gradient
    square = state["exp_avg_sq"] = 0.99 * state.get("exp_avg_sq", 0) + 0.01 * gradient**2
    update = mean / (1 - 0.9**step) / ((square / (1 - 0.99**step)).sqrt() + 1e-8)
    weight.copy_(weight * (1 - rate * RECIPE.weight_decay) - rate * update)


def forward(network: Network, inputs: Tensor, states: list[Any]) -> Tensor:
    """Return the outputs of the last layer, and replace the states of the layers."""
    outputs: Tensor = network.embedding(inputs)
    for index, layer in enumerate(network.layers):
        outputs, state = layer(outputs, states[index])
        states[index] = tuple(part.detach() for part in state)
    return outputs


def train(network: Network, recipe: Recipe) -> tuple[list[tuple[float, float]], list[float], dict[str, Any]]:
    """Train a network.

    Returns:
        The loss and the learning rate of each update, the norms of the gradients, and the final state.
    """
    updates: list[tuple[float, float]] = []
    norms: list[float] = []
    optimizers: dict[str, dict[str, Any]] = {name: {} for name, _ in network.named_parameters()}
    states: list[Any] = []
    for batches in epochs():
        states = [None, None]
        for inputs, targets in batches:
            outputs = forward(network, inputs, states)
            logarithms = network.output(outputs).log_softmax(-1)
            loss = nn.functional.nll_loss(logarithms.flatten(0, 1), targets.flatten())
            entropy = -(logarithms.exp() * logarithms).sum(-1).mean()
            penalized = loss + 0.5 * outputs.square().mean() - 0.1 * entropy
            # All tokens of an epoch have the same weight.
            share = targets.numel() / TARGETS_PER_UPDATE
            gradients = torch.autograd.grad(share * penalized, list(network.parameters()))
            norm = math.sqrt(sum(float(gradient.square().sum()) for gradient in gradients))
            factor = learning_rate_factor(len(updates))
            with torch.no_grad():
                for (name, weight), gradient in zip(network.named_parameters(), gradients, strict=True):
                    is_muon = recipe.muon_lr and name.startswith("layers.") and weight.ndim == 2
                    step, rate = (
                        (step_muon, recipe.muon_lr) if is_muon else (step_adamw, recipe.learning_rate)
                    )
                    clipped = gradient * min(1, recipe.grad_clip / norm)
                    step(weight, clipped, optimizers[name], factor * rate)
            norms.append(norm)
            updates.append((loss.item(), factor * recipe.learning_rate))
    carried = {name: torch.cat([state[i] for state in states]) for i, name in enumerate(("hidden", "cell"))}
    weights = {name: weight.detach() for name, weight in network.named_parameters()}
    return updates, norms, {"weights": weights, "carried_state": carried, "optimizers": optimizers}


def assert_close(actual: Any, expected: Any, path: Sequence[str] = ()) -> None:
    """Compare two trees of tensors. The largest value of a tensor determines its tolerance."""
    if isinstance(expected, dict):
        assert set(actual) == set(expected), path
        for name, part in expected.items():
            assert_close(actual[name], part, [*path, name])
    else:
        expected = torch.as_tensor(expected, dtype=torch.float64)
        error = (actual.double() - expected).abs().max() / expected.abs().max()
        assert error < 1e-3, path


@pytest.mark.parametrize(("muon_lr", "threads"), [(RECIPE.muon_lr, 2), (0.0, 1)], ids=["muon", "adamw"])
def test_the_updates_are_those_of_their_definition(
    monkeypatch: pytest.MonkeyPatch, muon_lr: float, threads: int
) -> None:
    """Initial output bias, order of the text, loss, clipping, learning rates, optimizers and final state."""
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict)
    monkeypatch.setattr(replicas, "MIN_LANES", 2)
    recipe = replace(RECIPE, muon_lr=muon_lr)
    trainer = Trainer(TEXT, SYMBOLS, recipe, Budget(epochs=EPOCHS), SEED, threads=threads)
    network = Network().double()
    network.load_state_dict(trainer.model.state_dict())
    counts = torch.from_numpy(0.5 + np.bincount(TEXT, minlength=SYMBOLS))
    network.output.load_state_dict({"bias": (counts / counts.sum()).log()}, strict=False)
    expected, norms, final = train(network, recipe)
    assert min(norms) < recipe.grad_clip < max(norms)
    assert len(trainer.replicas) == threads
    updates = list(trainer.updates())
    for update, values in zip(updates, expected, strict=True):
        assert (update.nats, update.learning_rate) == pytest.approx(values, rel=1e-4)
    state = vars(trainer.state())
    assert_close({name: state[name] for name in final}, final)
