"""Data-parallel training with replicas."""

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from textgen_train.loop import replicas
from textgen_train.loop.replicas import Replicas, resolve_thread_count, single_threaded_operations
from textgen_train.loop.trainer import Trainer
from textgen_train.models.cells import CharLSTM
from textgen_train.models.network import CharNetwork
from textgen_train.recipe import Budget, Recipe
from torch import Tensor, nn

TOKENS = torch.arange(20 * 19).view(20, 19) % 7
TARGETS = torch.arange(1, 20 * 19 + 1).view(20, 19) % 7
RECIPE = Recipe(
    units=16,
    embedding=8,
    batch=32,
    sequence_length=16,
    warmup=5,
    dropout=0.2,
    weight_dropout=0.2,
    activation_penalty=0.5,
    confidence_penalty=0.1,
)


def network(**dropouts: Any) -> CharLSTM:
    torch.manual_seed(0)
    return CharLSTM(7, units=12, layers=2, embedding=5, **dropouts)


@pytest.mark.parametrize(
    ("lanes", "threads", "replicas"), [(32, 1, 1), (32, 2, 2), (32, 8, 4), (16, 8, 2), (15, 8, 1), (1, 2, 1)]
)
def test_each_of_several_replicas_has_at_least_eight_lanes(lanes: int, threads: int, replicas: int) -> None:
    group = Replicas(network(), lanes, threads)
    slices = group.lane_slices(lanes)
    assert len(group) == len(slices) == replicas
    assert [lane for part in slices for lane in range(lanes)[part]] == list(range(lanes))
    sizes = [part.stop - part.start for part in slices]
    assert max(sizes) - min(sizes) <= 1
    assert min(sizes) >= min(8, lanes)


@pytest.mark.parametrize(("lanes", "most", "threads"), [(19, 19, 1), (19, 19, 2), (1, 24, 3), (2, 24, 3)])
def test_the_gradient_equals_that_of_the_full_batch(lanes: int, most: int, threads: int) -> None:
    """A batch may have fewer lanes than there are replicas. The others do nothing."""
    model = network()
    logits, _ = model(TOKENS[:, :lanes], model.initial_state(lanes))
    batch_loss = nn.functional.cross_entropy(logits.flatten(0, 1), TARGETS[:, :lanes].flatten())
    expected = torch.autograd.grad(batch_loss, list(model.parameters()))
    replicas = Replicas(model, most, threads)
    assert len(replicas) == threads
    calls: list[tuple[int, int]] = []

    def loss(replica: int, model: CharNetwork, part: slice) -> Tensor:
        calls.append((replica, threading.get_ident()))
        assert part == replicas.lane_slices(lanes)[replica]
        inputs, targets = TOKENS[:, part], TARGETS[:, part]
        logits, _ = model(inputs, model.initial_state(inputs.shape[1]))
        total = nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="sum")
        return total / (20 * lanes)

    nats, lr_factor = replicas.backward(loss, lanes, 0.25)
    assert nats == pytest.approx(batch_loss.item(), abs=1e-6)
    assert lr_factor == 0.25
    working = min(threads, lanes)
    assert len({replica for replica, _ in calls}) == len(calls) == working
    assert threads > working or len({thread for _, thread in calls}) == threads
    for weight, gradient in zip(model.parameters(), expected, strict=True):
        torch.testing.assert_close(weight.grad, gradient, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("name", ["dropout", "input_dropout", "weight_dropout"])
def test_replicas_have_different_dropout_masks(name: str) -> None:
    model = network(**{name: 0.5})
    replicas = Replicas(model, 16, 2)
    replicas.seed_dropout(0, 0)
    first, second = (replica(TOKENS[:, :8], replica.initial_state(8))[0] for replica in replicas._models)
    assert not torch.equal(first, second)


def test_the_dropout_masks_of_each_seed_update_and_replica_differ() -> None:
    """Also those of seeds whose last 32 bits are equal, of which torch uses no others."""
    replicas, draws = Replicas(network(), 16, 2), []
    for seed in (0, 1, 2**32):
        for step in (0, 1):
            replicas.seed_dropout(seed, step)
            draws += [torch.rand(3, generator=model.generator).tolist() for model in replicas._models]
    assert len(set(map(tuple, draws))) == 12


@pytest.mark.parametrize("failing", [0, 1])
def test_an_exception_is_raised_after_all_replicas_have_stopped(failing: int) -> None:
    replicas = Replicas(network(), 16, 2)
    started = threading.Event()
    finished: list[int] = []

    def loss(replica: int, model: CharNetwork, _: slice) -> Tensor:
        if replica == failing:
            started.wait(10)
            raise KeyboardInterrupt
        started.set()
        value: Tensor = model(TOKENS, model.initial_state(19))[0].sum()
        finished.append(replica)
        return value

    with pytest.raises(KeyboardInterrupt):
        replicas.backward(loss, 16)
    assert finished == [1 - failing]


def test_a_function_is_called_for_each_item_on_all_threads() -> None:
    """The operations of the worker threads are single-threaded, whatever the setting of the caller is."""
    replicas = Replicas(network(), 16, 2)
    # No thread passes before both have an item.
    barrier = threading.Barrier(2, timeout=10)
    items: list[tuple[str, int]] = []
    threads_of_operations: set[int] = set()

    def call(item: int) -> None:
        if item < 2:
            barrier.wait()
        name = threading.current_thread().name
        items.append((name, item))
        if name.startswith("textgen-replica"):
            threads_of_operations.add(torch.get_num_threads())

    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        replicas.for_each(call, range(20))
    finally:
        torch.set_num_threads(before)
    assert threads_of_operations == {1}
    assert sorted(item for _, item in items) == list(range(20))
    assert len({name for name, item in items if item < 2}) == 2


def test_an_exception_for_one_item_is_raised() -> None:
    replicas = Replicas(network(), 16, 2)

    def call(item: int) -> None:
        if item:
            raise IndexError

    with pytest.raises(IndexError):
        replicas.for_each(call, [0, 1])


def test_operations_are_single_threaded_during_training(monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = Trainer(np.resize(np.arange(4), 600), 4, RECIPE, Budget(epochs=1), 0, threads=2)
    assert len(trainer.replicas) == 2
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    threads_of_replicas = set()
    backward = trainer.replicas.backward

    def recorded_backward(
        loss: Callable[[int, CharNetwork, slice], Tensor], lanes: int, lr_factor: float
    ) -> tuple[float, float]:
        def recorded_loss(replica: int, model: CharNetwork, lanes: slice) -> Tensor:
            threads_of_replicas.add((replica, torch.get_num_threads()))
            return loss(replica, model, lanes)

        return backward(recorded_loss, lanes, lr_factor)

    monkeypatch.setattr(trainer.replicas, "backward", recorded_backward)
    try:
        list(trainer.updates())
        assert threads_of_replicas == {(0, 1), (1, 1)}
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def test_the_number_of_threads_is_restored_after_an_exception() -> None:
    before = torch.get_num_threads()
    with pytest.raises(ValueError, match="stop"), single_threaded_operations():
        raise ValueError("stop")
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("threads", [0, -3])
def test_fewer_threads_than_one_are_an_error(threads: int) -> None:
    with pytest.raises(ValueError, match="threads must be at least 1"):
        Trainer(np.arange(600) % 4, 4, RECIPE, Budget(epochs=1), 0, threads=threads)


def test_the_default_number_of_threads_is_one_that_a_user_may_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replicas, "available_processors", lambda: 1000)
    assert resolve_thread_count(None) == 256
