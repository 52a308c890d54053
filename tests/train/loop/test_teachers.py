"""The predictions of trained models for a training text, and a trainer that learns from them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from textgen_runtime import Model, Normalization
from textgen_runtime.files import replacing_file
from textgen_runtime.model_file import Metadata, make_tokenizer
from textgen_runtime.tokenizer import SpecialTokens, Tokenizer
from textgen_train.data.dataset import Dataset
from textgen_train.data.predictions import Form, Predictions, PredictionWriter, read_predictions
from textgen_train.data.tokens import Tokens
from textgen_train.errors import TrainingError
from textgen_train.export.exporter import build_checked
from textgen_train.loop import replicas, teachers, text_parts
from textgen_train.loop.teachers import Teachers, predict
from textgen_train.models.cells import CELLS, CharLSTM
from textgen_train.models.network import CharNetwork
from textgen_train.recipe import Budget

from tests.helpers.training_states import (
    RECIPE,
    RECORDS,
    SPECIAL,
    TEXT,
    check_every_stop,
    make_trainer,
    same,
    weights_of,
)

PLAIN = make_tokenizer("character", "abcdefg")
LINES = make_tokenizer("character", [*"abcde", "", ""], SpecialTokens(None, 5, 6))


@torch.no_grad()
def step_by_step(network: CharNetwork, inputs: list[int]) -> NDArray[np.float32]:
    """Return the probabilities after each token, from their definition."""
    network.eval()
    state, rows = network.initial_state(1), []
    for token in inputs:
        logits, state = network(torch.tensor([[token]]), state)
        rows.append(logits[0, 0].softmax(0).numpy())
    return np.array(rows)


def network_of(cell: str = "lstm", seed: int = 0) -> CharNetwork:
    """Return a network that remembers long."""
    torch.manual_seed(seed)
    network = CELLS[cell](7, units=10, layers=2, embedding=4)
    with torch.no_grad():
        for weight in network.parameters():
            weight.mul_(3.0)
    return network


def model_of(network: CharNetwork, tokenizer: Tokenizer) -> Model:
    records = None if tokenizer.special.begin is None else "lines"
    return build_checked(network, Metadata(tokenizer, records=records)).model  # type: ignore[arg-type]


def predicted(
    folder: Path, tokenizer: Tokenizer, text: Tokens, models: list[Model], threads: int = 1
) -> NDArray[np.float32]:
    """Return the stored probabilities of each token of a text."""
    dataset = Dataset(tokenizer, Normalization(), text, text, before_held_out=0)
    form = Form(len(text), len(tokenizer))
    counts: list[int] = []
    with replacing_file(folder / "file") as file:
        writer = PredictionWriter(file, form, "")
        predict(
            Teachers([(model.engine, "large") for model in models]), dataset, writer, threads, counts.append
        )
        writer.finish()
    assert sum(counts) >= len(text) - 1
    predictions = read_predictions(folder / "file", form, "")
    assert predictions
    return predictions.rows(np.arange(len(text)))[0].astype(np.float32)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(("length", "threads"), [(2, 1), (9, 1), (62, 1), (62, 3), (101, 2)])
def test_the_predictions_of_a_text_in_parts_are_those_of_a_single_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cell: str, length: int, threads: int
) -> None:
    """The context of a part is far too short. The first token has nothing before it."""
    for name, value in {"MAX_PARTS": 6, "MIN_PART": 10, "CONTEXT": 3, "CHUNK": 4}.items():
        monkeypatch.setattr(text_parts, name, value)
    network = network_of(cell)
    text = np.random.default_rng(0).integers(7, size=length).astype(np.uint8)
    rows = predicted(tmp_path, PLAIN, text, [model_of(network, PLAIN)], threads)
    assert not rows[0].any()
    np.testing.assert_allclose(rows[1:], step_by_step(network, text[:-1].tolist()), atol=1e-3)


def test_the_memory_of_a_text_is_released_while_it_is_predicted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"MIN_PART": 64, "CHUNK": 4, "RELEASE_INTERVAL": 3}.items():
        monkeypatch.setattr(text_parts, name, value)
    model, events = model_of(network_of(), PLAIN), list[str]()
    forward = model.engine.forward

    def spy(*inputs: Any, **options: Any) -> Any:
        events.append("forward")
        return forward(*inputs, **options)

    monkeypatch.setattr(model.engine, "forward", spy)
    monkeypatch.setattr(text_parts, "release_pages", lambda _: events.append("release"))
    predicted(tmp_path, PLAIN, np.zeros(31, np.uint8), [model])
    # The first call computes a state. The last release is after the text.
    calls = ["release", *["forward"] * 3]
    assert events == ["forward", *calls, *calls, *calls[:3], "release"]


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("maximum", [2**20, 40], ids=["one part", "several parts"])
def test_each_record_is_predicted_from_the_initial_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, threads: int, maximum: int
) -> None:
    """With a small maximum, the longest record is longer than a part."""
    monkeypatch.setattr(teachers, "MAX_RECORD_TOKENS", maximum)
    monkeypatch.setattr(text_parts, "CHUNK", 4)
    network, rng = network_of(), np.random.default_rng(0)
    records = [[*rng.integers(5, size=size).tolist(), 6] for size in (3, 0, 17, 3, 60, 1, 40, 2)]
    rows = predicted(tmp_path, LINES, np.concatenate(records), [model_of(network, LINES)], threads)
    expected = [step_by_step(network, [5, *record[:-1]]) for record in records]
    np.testing.assert_allclose(rows, np.concatenate(expected), atol=1e-3)


def test_two_models_are_averaged(tmp_path: Path) -> None:
    networks = [network_of(), network_of("gru", 1)]
    text = np.random.default_rng(0).integers(7, size=50).astype(np.uint8)
    rows = predicted(tmp_path, PLAIN, text, [model_of(network, PLAIN) for network in networks])
    first, second = (step_by_step(network, text[:-1].tolist()) for network in networks)
    assert abs(first - second).max() > 0.1
    np.testing.assert_allclose(rows[1:], (first + second) / 2, atol=1e-3)


def test_a_model_that_predicts_no_numbers_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = model_of(CharLSTM(7, units=10, embedding=4), PLAIN)
    forward = model.engine.forward
    monkeypatch.setattr(
        model.engine, "forward", lambda *inputs, **_: (forward(*inputs)[0] * np.nan, forward(*inputs)[1])
    )
    with pytest.raises(TrainingError, match="the model large of --teacher predicts no finite numbers"):
        predicted(tmp_path, PLAIN, np.zeros(9, np.uint8), [model])


def certain(text: Tokens) -> Predictions:
    """Predict each token of a text with certainty."""
    return Predictions(np.eye(int(text.max()) + 1, dtype=np.float16)[text])


@pytest.mark.parametrize("text", [TEXT, RECORDS], ids=["text", "records"])
def test_each_target_learns_from_its_own_row(
    monkeypatch: pytest.MonkeyPatch, text: NDArray[np.int64]
) -> None:
    """A model that predicts the text with certainty changes nothing but the rounding."""
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict)
    monkeypatch.setattr(replicas, "MIN_LANES", 4)
    special = SPECIAL if text is RECORDS else SpecialTokens()

    def train(predictions: Predictions | None) -> dict[str, torch.Tensor]:
        trainer = make_trainer(
            replace(RECIPE, learning_rate=1e-3, muon_lr=1e-3), 2, 0, Budget(epochs=1), text, special=special
        )
        if predictions:
            trainer.learn_from(predictions, 0.5)
        list(trainer.updates())
        return weights_of(trainer)

    expected, found = train(None), train(certain(text))
    for name, weight in expected.items():
        torch.testing.assert_close(found[name], weight, atol=2e-4, rtol=0)
    others = train(certain(np.roll(text, 1)))
    assert any((others[name] - weight).abs().max() > 2e-3 for name, weight in expected.items())


def random_predictions(columns: int) -> list[NDArray[np.generic]]:
    rng = np.random.default_rng(0)
    rows = rng.dirichlet(np.ones(4), size=len(TEXT)).astype(np.float16)
    tokens = rng.permuted(np.tile(np.arange(4, dtype=np.uint8), (len(TEXT), 1)), axis=1)
    return [rows] if columns == 4 else [rows[:, :columns], tokens[:, :columns]]


def test_the_memory_of_predictions_is_released_after_each_update(monkeypatch: pytest.MonkeyPatch) -> None:
    released: list[Predictions] = []

    def release(predictions: Predictions) -> None:
        released.append(predictions)

    monkeypatch.setattr(Predictions, "release", release)
    trainer = make_trainer(RECIPE, 1, 0, Budget(epochs=1))
    trainer.learn_from(certain(TEXT), 0.5)
    assert len(list(trainer.updates())) == len(released) > 0


def test_predictions_without_weight_have_no_effect() -> None:
    expected, trainer = make_trainer(RECIPE, 1), make_trainer(RECIPE, 1)
    trainer.learn_from(Predictions(*random_predictions(4)), 0.0)
    updates = [list(each.updates()) for each in (expected, trainer)]
    assert same(weights_of(trainer), weights_of(expected))
    assert [update.nats for update in updates[0]] == [update.nats for update in updates[1]]


@pytest.mark.parametrize("columns", [4, 2], ids=["all tokens", "some tokens"])
def test_a_run_with_predictions_that_is_stopped_ends_with_the_same_weights(columns: int) -> None:
    def create(seed: int) -> object:
        trainer = make_trainer(RECIPE, 2, seed, Budget(epochs=1))
        trainer.learn_from(Predictions(*random_predictions(columns)), 0.9)
        return trainer

    check_every_stop(create)  # type: ignore[arg-type]
