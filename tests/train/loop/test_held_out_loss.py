"""The held-out loss of an exported model."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from textgen_runtime import Normalization
from textgen_runtime.engine import Engine
from textgen_runtime.model import open_model
from textgen_runtime.model_file import Metadata, make_tokenizer
from textgen_runtime.results import State
from textgen_runtime.score import RecordScore, score_records
from textgen_runtime.tokenizer import NO_SPECIAL_TOKENS, SpecialTokens
from textgen_train.data.dataset import Dataset
from textgen_train.export.exporter import build_checked
from textgen_train.loop import held_out_loss as losses
from textgen_train.loop import text_parts
from textgen_train.loop.held_out_loss import held_out_loss, training_loss
from textgen_train.models.cells import CELLS, CharLSTM
from textgen_train.models.network import CharNetwork
from torch import nn

TOKENIZER = make_tokenizer("character", "abcdefg")


@torch.no_grad()
def step_by_step(model: CharNetwork, before: int, text: list[int]) -> float:
    """Compute the loss from its definition: single steps with a carried state."""
    model.eval()
    state = model.initial_state(1)
    total = 0.0
    for token, target in zip([before, *text], text, strict=False):
        logits, state = model(torch.tensor([[token]]), state)
        total -= nn.functional.log_softmax(logits[0, 0], 0)[target].item()
    return total / len(text)


class Calls:
    """Counts the tokens that an engine reads. Each takes half a second on the clock of the losses."""

    def __init__(self, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
        self.tokens, self._forward = 0, engine.forward
        monkeypatch.setattr(engine, "forward", self.forward)
        monkeypatch.setattr(losses, "perf_counter", lambda: 0.5 * self.tokens)

    def forward(self, tokens: NDArray[np.int64], state: State, **options: bool) -> Any:
        self.tokens += tokens.size
        return self._forward(tokens, state, **options)


@pytest.mark.parametrize("engine", ["native", "onnxruntime"])
def test_the_loss_equals_that_of_single_steps_in_torch(monkeypatch: pytest.MonkeyPatch, engine: str) -> None:
    torch.manual_seed(0)
    network = CharLSTM(7, units=10, layers=2, embedding=4, dropout=0.5)
    text = np.random.default_rng(0).integers(7, size=100)
    dataset = Dataset(TOKENIZER, Normalization(), text, text, before_held_out=3)
    content = build_checked(network, Metadata(TOKENIZER)).content
    model = open_model(content, engine)  # type: ignore[arg-type]
    expected = step_by_step(network, 3, text.tolist())
    assert held_out_loss(model, dataset) == pytest.approx(expected, abs=1e-5)
    monkeypatch.setattr(text_parts, "CHUNK", 7)
    assert held_out_loss(model, dataset) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(("length", "threads"), [(8, 1), (61, 1), (61, 3), (100, 2)])
def test_the_loss_of_a_text_in_parts_is_that_of_a_single_pass(
    monkeypatch: pytest.MonkeyPatch, cell: str, length: int, threads: int
) -> None:
    """The context of a part is far too short for this network."""
    for name, value in {"MAX_PARTS": 6, "MIN_PART": 10, "CONTEXT": 3, "CHUNK": 4}.items():
        monkeypatch.setattr(text_parts, name, value)
    torch.manual_seed(0)
    network = CELLS[cell](7, units=10, layers=3, embedding=4)
    with torch.no_grad():
        for weight in network.parameters():
            weight.mul_(3.0)
    text = np.random.default_rng(0).integers(7, size=length).astype(np.uint8)
    dataset = Dataset(TOKENIZER, Normalization(), text, text, before_held_out=3)
    model = build_checked(network, Metadata(TOKENIZER)).model
    expected = step_by_step(network, 3, text.tolist())
    assert held_out_loss(model, dataset, threads) == pytest.approx(expected, abs=1e-5)
    assert held_out_loss(model, dataset, threads) == held_out_loss(model, dataset)


def test_a_part_is_scored_once_if_its_context_is_sufficient(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    text = np.random.default_rng(0).integers(7, size=5000)
    dataset = Dataset(TOKENIZER, Normalization(), text, text, before_held_out=3)
    model = build_checked(CharLSTM(7, units=10, embedding=4), Metadata(TOKENIZER)).model
    calls = Calls(model.engine, monkeypatch)
    held_out_loss(model, dataset)
    # Five parts, each with a context.
    assert calls.tokens == 5 * 256 + 5 * 1000


@pytest.mark.parametrize("is_list", [False, True])
def test_the_duration_of_an_evaluation_is_estimated_from_a_few_tokens(
    monkeypatch: pytest.MonkeyPatch, *, is_list: bool
) -> None:
    text = np.tile(np.array([0, 1, 2, 3, 9]), 20_000)
    special = SpecialTokens(None, 8, 9) if is_list else NO_SPECIAL_TOKENS
    tokenizer = make_tokenizer("character", [*"abcdefgh", *(["", ""] if is_list else "ij")], special)
    dataset = Dataset(
        tokenizer, Normalization(), text, text, before_held_out=8, records="lines" if is_list else None
    )
    metadata = Metadata(tokenizer, records=dataset.records)
    model = build_checked(CharLSTM(10, units=10, embedding=4), metadata).model
    calls = Calls(model.engine, monkeypatch)
    seconds = losses.seconds_per_token(model, dataset)
    # Twice.
    assert 8000 <= calls.tokens <= 12000
    assert seconds == pytest.approx(0.5, rel=0.3)


@pytest.mark.parametrize(("held_out", "maximum", "scored"), [(30, 1000, 30), (30, 20, 20), (200, 1000, 99)])
def test_the_training_loss_is_that_of_the_end_of_the_training_text(
    monkeypatch: pytest.MonkeyPatch, held_out: int, maximum: int, scored: int
) -> None:
    """It is as long as the held-out text, and the first character of the text has nothing before it."""
    monkeypatch.setattr(losses, "MAX_TRAINING_TOKENS", maximum)
    torch.manual_seed(0)
    network = CharLSTM(7, units=10, embedding=4, dropout=0.5)
    rng = np.random.default_rng(0)
    training, held_out_text = rng.integers(7, size=100), rng.integers(7, size=held_out)
    dataset = Dataset(TOKENIZER, Normalization(), training, held_out_text, before_held_out=3)
    model = build_checked(network, Metadata(TOKENIZER)).model
    end = training[-scored - 1 :].tolist()
    assert training_loss(model, dataset) == pytest.approx(step_by_step(network, end[0], end[1:]), abs=1e-5)


def test_the_training_loss_of_records_is_that_of_complete_records_from_the_whole_list(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each record begins with its number."""
    special = SpecialTokens(None, 11, 12)
    tokenizer = make_tokenizer("character", [*"0123456789a", "", ""], special)
    torch.manual_seed(0)
    model = build_checked(CharLSTM(13, units=10, embedding=4), Metadata(tokenizer, records="lines")).model
    records = [[*map(int, f"{number:03}"), *[10] * (number % 9), 12] for number in range(1000)]
    tokens = np.concatenate(records)
    dataset = Dataset(tokenizer, Normalization(), tokens, tokens[:2000], 11, records="lines")
    scored: list[list[int]] = []

    def score(engine: Engine, part: list[list[int]], special: SpecialTokens) -> RecordScore:
        scored.extend(part)
        return score_records(engine, part, special)

    monkeypatch.setattr(losses, "score_records", score)
    loss = training_loss(model, dataset)
    assert all([*record, 12] in records for record in scored)
    numbers = [int("".join(map(str, record[:3]))) for record in scored]
    assert (numbers[0], numbers[-1]) == (0, 999)
    assert 0 < max(np.diff(numbers)) < 60
    expected = score_records(model.engine, scored, special)
    assert 1600 < expected.positions <= 2000
    assert loss == pytest.approx(expected.total_nats / expected.positions)
