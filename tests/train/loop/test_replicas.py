"""Replicas that train side by side."""

import threading
from collections.abc import Callable

import numpy as np
import pytest
import torch
from textgen_train.loop.classic_trainer import ClassicTrainer
from textgen_train.loop.replicas import Replicas, one_thread_an_operation
from textgen_train.loop.stateful_trainer import StatefulTrainer
from textgen_train.models.lstm import CharLSTM
from textgen_train.recipe import Budget, ClassicRecipe, Recipe
from torch import Tensor, nn

TOKENS = torch.arange(20 * 19).view(20, 19) % 7
TARGETS = torch.arange(1, 20 * 19 + 1).view(20, 19) % 7
RECIPE = Recipe(
    units=16, embedding=8, batch=32, sequence_length=16, warmup=5, dropout=0.2, weight_dropout=0.2
)


def network(**dropouts: float) -> CharLSTM:
    torch.manual_seed(0)
    return CharLSTM(7, units=12, layers=2, embedding=5, **dropouts)


@pytest.mark.parametrize(
    ("lanes", "threads", "replicas"), [(32, 1, 1), (32, 2, 2), (32, 8, 4), (16, 8, 2), (15, 8, 1), (1, 2, 1)]
)
def test_each_replica_has_eight_lanes_or_more(lanes: int, threads: int, replicas: int) -> None:
    made = Replicas(network(), lanes, threads, seed=0)
    shares = made.shares(lanes)
    assert len(made) == len(shares) == replicas
    assert [lane for share in shares for lane in range(lanes)[share]] == list(range(lanes))
    sizes = [share.stop - share.start for share in shares]
    assert max(sizes) - min(sizes) <= 1
    assert min(sizes) >= min(8, lanes)


@pytest.mark.parametrize("threads", [1, 2])
def test_the_gradient_is_that_of_the_whole_batch(threads: int) -> None:
    model = network()
    logits, _ = model(TOKENS, model.initial_state(19))
    whole = nn.functional.cross_entropy(logits.flatten(0, 1), TARGETS.flatten())
    expected = torch.autograd.grad(whole, list(model.parameters()))
    replicas = Replicas(model, 19, threads, seed=0)
    used: list[tuple[int, int]] = []

    def loss(replica: int, own: CharLSTM) -> Tensor:
        used.append((replica, threading.get_ident()))
        lanes = replicas.shares(19)[replica]
        inputs, targets = TOKENS[:, lanes], TARGETS[:, lanes]
        found, _ = own(inputs, own.initial_state(inputs.shape[1]))
        return nn.functional.cross_entropy(found.flatten(0, 1), targets.flatten(), reduction="sum") / 380

    assert replicas.backward(loss) == pytest.approx(whole.item(), abs=1e-6)
    assert sorted(replica for replica, _ in used) == list(range(threads))
    assert len({thread for _, thread in used}) == threads
    for weight, gradient in zip(model.parameters(), expected, strict=True):
        torch.testing.assert_close(weight.grad, gradient, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("name", ["dropout", "input_dropout", "weight_dropout"])
def test_each_replica_draws_masks_of_its_own(name: str) -> None:
    model = network(**{name: 0.5})
    replicas = Replicas(model, 16, 2, seed=0)
    first, second = (replica(TOKENS[:, :8], replica.initial_state(8))[0] for replica in replicas._models)
    assert not torch.equal(first, second)


def trained(threads: int, seed: int = 0) -> list[Tensor]:
    text = np.random.default_rng(0).integers(4, size=1500)
    trainer = StatefulTrainer(text, 4, RECIPE, Budget(epochs=3), seed, threads=threads)
    list(trainer.updates())
    return [weight.detach() for weight in trainer.model.parameters()]


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_a_seed_and_a_number_of_threads_make_the_same_model_again(threads: int) -> None:
    first, again, other = trained(threads), trained(threads), trained(threads, seed=1)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(first, other, strict=True))


def test_a_failure_in_a_worker_comes_out() -> None:
    replicas = Replicas(network(), 16, 2, seed=0)

    def loss(replica: int, own: CharLSTM) -> Tensor:
        if replica == 1:
            raise MemoryError
        value: Tensor = own(TOKENS, own.initial_state(19))[0].sum()
        return value

    with pytest.raises(MemoryError):
        replicas.backward(loss)


def test_a_failure_in_a_replica_comes_out_when_all_of_them_have_stopped() -> None:
    replicas = Replicas(network(), 16, 2, seed=0)
    going = threading.Event()
    finished: list[int] = []

    def loss(replica: int, own: CharLSTM) -> Tensor:
        if replica == 0:
            going.wait(10)
            raise KeyboardInterrupt
        going.set()
        value: Tensor = own(TOKENS, own.initial_state(19))[0].sum()
        finished.append(replica)
        return value

    with pytest.raises(KeyboardInterrupt):
        replicas.backward(loss)
    assert finished == [1]


@pytest.mark.parametrize("kind", ["stream", "classic"])
def test_operations_have_no_threads_of_their_own_until_training_ends(
    monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    text = np.resize(np.arange(4), 600)
    trainer: StatefulTrainer | ClassicTrainer
    if kind == "stream":
        trainer = StatefulTrainer(text, 4, RECIPE, Budget(epochs=1), 0, threads=2)
    else:
        recipe = ClassicRecipe(units=8, window=12, batch=16)
        trainer = ClassicTrainer(text, 4, recipe, Budget(epochs=1), 0, threads=2)
    assert len(trainer.replicas) == 2
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    inside = set()
    loss = trainer.replicas.backward

    def spied(call: Callable[[int, CharLSTM], Tensor]) -> float:
        def one(replica: int, own: CharLSTM) -> Tensor:
            inside.add((replica, torch.get_num_threads()))
            return call(replica, own)

        return loss(one)

    monkeypatch.setattr(trainer.replicas, "backward", spied)
    try:
        list(trainer.updates())
        assert inside == {(0, 1), (1, 1)}
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def test_torch_keeps_its_threads_after_a_failure() -> None:
    before = torch.get_num_threads()
    with pytest.raises(ValueError, match="stop"), one_thread_an_operation():
        raise ValueError("stop")
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("threads", [0, -3])
def test_a_number_of_threads_below_one(threads: int) -> None:
    with pytest.raises(ValueError, match="threads must be 1 or more"):
        StatefulTrainer(np.arange(600) % 4, 4, RECIPE, Budget(epochs=1), 0, threads=threads)
