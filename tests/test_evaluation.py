"""The score of a model."""

import math

import numpy as np
import pytest
import torch
from textgen_train import evaluation
from textgen_train.evaluation import bits, nats_per_character
from textgen_train.model import CharLSTM
from torch import nn


def one_by_one(model: CharLSTM, before: int, text: list[int]) -> float:
    """The definition: every character in turn, the state carried by hand."""
    model.eval()
    state = model.initial_state(1)
    total = 0.0
    with torch.no_grad():
        for token, following in zip([before, *text], text, strict=False):
            logits, state = model(torch.tensor([[token]]), state)
            total -= nn.functional.log_softmax(logits[0, 0], 0)[following].item()
    return total / len(text)


def test_every_character_is_scored_once_with_the_state_carried(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    model = CharLSTM(7, units=10, layers=2, embedding=4, dropout=0.5)
    text = np.random.default_rng(0).integers(7, size=100)
    expected = one_by_one(model, 3, text.tolist())
    assert nats_per_character(model, 3, text) == pytest.approx(expected, abs=1e-5)
    monkeypatch.setattr(evaluation, "PIECE", 7)
    assert nats_per_character(model, 3, text) == pytest.approx(expected, abs=1e-5)


def test_it_leaves_the_model_training() -> None:
    model = CharLSTM(7, units=10, embedding=4)
    nats_per_character(model, 0, np.array([1, 2, 3]))
    assert model.training


def test_bits() -> None:
    assert bits(math.log(8)) == pytest.approx(3)
