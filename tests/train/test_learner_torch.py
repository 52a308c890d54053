"""The learner of torch, compared with the trainer in C and with definitions."""

import math
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from textgen_train import _core
from textgen_train.errors import LostProcessError, TrainingError
from textgen_train.learner_torch import TorchLearner, orthogonalize

from tests.helpers.processes import run_processes

WORDS = [b"the ", b"cat ", b"sat. ", b"On\n", b"mat "]
TEXT = b"".join(np.random.default_rng(0).choice(WORDS, size=2500, p=[0.4, 0.2, 0.2, 0.1, 0.1]).tolist())
RECIPE: dict[str, Any] = {
    **{option.name: option.default for option in _core.options()},
    "units": 12,
    "layers": 2,
    "residual": 1,
    "embedding": 6,
    "batch": 7,
    "sequence_length": 40,
    "activation_penalty": 0.1,
    "confidence_penalty": 0.05,
    "warmup": 5,
    "muon_weight_decay": 0.4,
}
DROPOUT = {"dropout": 0.2, "input_dropout": 0.1, "weight_dropout": 0.3}
CLASSIC = {"units": 8, "window": 12, "window_step": 3, "batch": 16, "learning_rate": 0.01}


@pytest.fixture(autouse=True)
def _float32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict)


def corpus_of(records: str | None = None) -> _core.Corpus:
    return _core.Corpus(TEXT, '"x"', records=records)


def learner_of(recipe: dict[str, Any], records: str | None = None, seed: int = 3) -> TorchLearner:
    return TorchLearner(corpus_of(records), recipe, seed=seed, threads=1, device="cpu")


def weights_of(file: bytes) -> dict[str, Any]:
    graph = onnx.ModelProto.FromString(file).graph
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}


@pytest.mark.parametrize("records", [None, "lines"])
@pytest.mark.parametrize("has_teacher", [False, True])
@pytest.mark.parametrize("muon_lr", [0.02, 0.0])
def test_a_run_is_that_of_the_trainer_in_c(records: str | None, has_teacher: bool, muon_lr: float) -> None:
    """Files, losses, the weights after forty updates, and the held-out loss."""
    recipe, corpus = {**RECIPE, "muon_lr": muon_lr}, corpus_of(records)
    core, learner = _core.Trainer(corpus, recipe, 3, 1), learner_of(recipe, records)
    learner.start_from(core.model("{}"))
    files = [onnx.ModelProto.FromString(one.model('{"a": 1}')) for one in (core, learner)]
    for file in files:
        file.graph.initializer.sort(key=lambda tensor: tensor.name)
    assert files[0] == files[1]
    if has_teacher:
        rng = np.random.default_rng(1)
        shares = rng.integers(2**15, size=(corpus.training_tokens, 2)).astype(np.uint16)
        tokens = rng.integers(corpus.vocabulary_size, size=shares.shape).astype(
            np.asarray(corpus.training).dtype
        )
        for one in (core, learner):
            one.teach(shares.tobytes(), tokens.tobytes(), 2, 0.7)
    assert (learner.parameters, learner.per_epoch) == (core.parameters, core.per_epoch)
    for i in range(40):
        assert learner.update(i / 40) == pytest.approx(core.update(i / 40), abs=1e-4)
    assert learner.epoch == core.epoch
    actual, expected = weights_of(learner.model("{}")), weights_of(core.model("{}"))
    for name, values in expected.items():
        assert np.abs(actual[name] - values).max() < 1e-3, name
    assert learner.score() == pytest.approx(core.score(), abs=1e-4)
    assert learner.score_start(50) == pytest.approx(core.score_start(50), abs=1e-4)


RUNS = {
    "lstm": ({**RECIPE, **DROPOUT}, None),
    "gru": ({**RECIPE, **DROPOUT, "cell": "gru"}, None),
    "conv": ({**RECIPE, "dropout": 0.2, "cell": "conv"}, None),
    "classic": (CLASSIC, None),
    "records": ({**RECIPE, **DROPOUT, "sequence_length": 8}, "lines"),
}


@pytest.mark.parametrize("name", RUNS)
def test_a_resumed_run_is_equal_to_the_bit(name: str) -> None:
    recipe, records = RUNS[name]
    whole = learner_of(recipe, records)
    saved = []
    for i in range(8):
        saved.append(whole.save())
        assert math.isfinite(whole.update(i / 8))
    for step in (0, 3, 5):
        part = learner_of(recipe, records)
        part.resume(saved[step])
        for i in range(step, 8):
            part.update(i / 8)
        assert part.save() == whole.save()


def test_a_damaged_save_or_one_of_another_run_changes_nothing() -> None:
    learner = learner_of(RUNS["lstm"][0])
    learner.update(0.0)
    good = learner.save()
    nan = good[:-4] + np.float32(np.nan).tobytes()
    others = [learner_of(RUNS["lstm"][0], seed=4).save(), learner_of(RUNS["gru"][0]).save()]
    for data in (b"", good[:100], good[:-1], nan, *others):
        with pytest.raises(TrainingError):
            learner.resume(data)
    assert learner.save() == good


def test_dropout_and_its_absence_change_an_update() -> None:
    recipes = (RECIPE, {**RECIPE, "dropout": 0.5}, {**RECIPE, "input_dropout": 0.5})
    losses = [learner_of(recipe).update(0.0) for recipe in recipes]
    regularized = learner_of(RECIPE)
    regularized.regularize({**RECIPE, "dropout": 0.5})
    assert len(set(losses)) == 3
    assert regularized.update(0.0) == losses[1]


def test_a_gradient_that_is_not_finite_changes_no_weight() -> None:
    learner = learner_of(RECIPE)
    learner._network.output.bias.data[0] = math.inf
    before = learner._network.embedding.weight.clone()
    assert math.isnan(learner.update(0.5))
    assert torch.equal(learner._network.embedding.weight, before)


@pytest.mark.parametrize("shape", [(48, 12), (12, 48), (20, 20)])
def test_muon_makes_three_steps_of_the_iteration(shape: tuple[int, int]) -> None:
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    x = matrix.double() / matrix.double().norm()
    for _ in range(3):
        x = 3.4445 * x - 4.7750 * x @ x.mT @ x + 2.0315 * x @ x.mT @ x @ x.mT @ x
    torch.testing.assert_close(orthogonalize(matrix).double(), x, atol=1e-4, rtol=0)


def test_the_classic_recipe_is_that_of_keras() -> None:
    learner = learner_of(CLASSIC)
    network, symbols = learner._network, learner._corpus.vocabulary_size
    lstm = network.layers[0]
    assert torch.equal(network.embedding.weight, torch.eye(symbols))
    torch.testing.assert_close(lstm.weight_hh_l0.mT @ lstm.weight_hh_l0, torch.eye(8), atol=1e-5, rtol=0)
    assert lstm.bias_ih_l0.view(4, 8).sum(1).tolist() == [0.0, 8.0, 0.0, 0.0]
    for matrix in (lstm.weight_ih_l0, network.output.weight):
        limit = math.sqrt(6 / sum(matrix.shape))
        assert 0.9 * limit < matrix.abs().max() <= limit
    text, windows = np.asarray(learner._corpus.training), []
    batches = [learner._batches.get(3, 0, i) for i in range(learner.per_epoch)]
    for batch in batches:
        read, next_ones = np.asarray(batch.inputs), np.asarray(batch.targets)
        assert (next_ones[:-1] == -1).all()
        windows += [(*read[:, i], next_ones[-1, i]) for i in range(batch.lanes)]
    assert sorted(windows) == sorted((*text[i : i + 12], text[i + 12]) for i in range(0, len(text) - 12, 3))
    inputs = torch.from_numpy(np.asarray(batches[0].inputs).astype(np.int64))
    targets = torch.from_numpy(np.asarray(batches[0].targets)[-1].astype(np.int64))
    clone = torch.nn.LSTM(symbols, 8)
    clone.load_state_dict(lstm.state_dict())
    weight = network.output.weight.detach().clone().requires_grad_()
    hidden, _ = clone(torch.nn.functional.one_hot(inputs, symbols).float())
    loss = torch.nn.functional.cross_entropy(hidden[-1] @ weight.mT + network.output.bias, targets)
    (gradient,) = torch.autograd.grad(loss, weight)
    assert learner.update(0.0) == pytest.approx(loss.item(), abs=1e-5)
    expected = weight - 0.01 * gradient / ((0.1 * gradient**2).sqrt() + 1e-7)
    torch.testing.assert_close(network.output.weight.detach(), expected.detach(), atol=1e-4, rtol=0)


def train_together(rank: int, lost: bool) -> Any:
    torch.cpu.get_capabilities = dict  # type: ignore[assignment]
    learner = learner_of(RECIPE)
    try:
        if rank:
            update = learner._update

            def end_at_three(progress: float) -> float:
                if lost and learner.step == 3:
                    import os

                    os._exit(1)
                return update(progress)

            learner._update = end_at_three  # type: ignore[method-assign]
            learner.follow()
            return None
        for i in range(6):
            learner.update(i / 6)
        return learner.save()
    except LostProcessError as error:
        return str(error)
    finally:
        learner.close()


def test_two_processes_train_like_one() -> None:
    alone = learner_of(RECIPE)
    for i in range(6):
        alone.update(i / 6)
    together = learner_of(RECIPE)
    together.resume(run_processes(train_together, False)[0])
    for name, values in alone._tensors().items():
        torch.testing.assert_close(together._tensors()[name], values, atol=1e-5, rtol=0)
    for name, values in alone._state.items():
        torch.testing.assert_close(together._state[name], values, atol=1e-5, rtol=0)


def test_a_lost_process_ends_the_other_with_one_line() -> None:
    assert "another process of the run has ended" in run_processes(train_together, True)[0]
