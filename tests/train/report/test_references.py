"""The losses of simple models on the held-out text."""

import random

import numpy as np
import pytest
from textgen_runtime.scoring.compressors import compressed_bits
from textgen_runtime.scoring.kneser_ney import KneserNey
from textgen_train.report import references
from textgen_train.report.references import References, describe_bounds, measure_references

from tests.helpers.report_pages import dataset_of

RNG = random.Random(1)
TEXT = " ".join(RNG.choice(("do", "re", "mi", "f\u00e4", "sol")) for _ in range(600))


def test_the_references_are_those_of_the_scoring_functions() -> None:
    dataset = dataset_of(TEXT)
    found = {reference.name: reference.nats for reference in measure_references(dataset)}
    held_out = TEXT[len(dataset.training) :]
    ngrams = KneserNey(dataset.training, 7, len(dataset.tokenizer))
    expected = ngrams.surprisals(dataset.held_out, dataset.training).mean()
    assert found.pop("7-gram") == pytest.approx(expected)
    before, both = compressed_bits(TEXT[: len(dataset.training)]), compressed_bits(TEXT)
    assert found == pytest.approx(
        {name: (both[name] - before[name]) * np.log(2) / len(held_out) for name in both}
    )


def test_unknown_symbols_count_as_characters() -> None:
    dataset = dataset_of(TEXT + "\u00e9\u00e8" + TEXT, min_count=2)
    assert dataset.rare_count == 2
    for reference in measure_references(dataset):
        assert 0 < reference.nats < 3


def test_long_texts_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = dataset_of(TEXT)
    assert describe_bounds(dataset) == ""
    monkeypatch.setattr(references, "MAX_TRAINING_TOKENS", 500)
    monkeypatch.setattr(references, "MAX_HELD_OUT_TOKENS", 50)
    (ngrams, *_) = measure_references(dataset)
    model = KneserNey(dataset.training[-500:], 7, len(dataset.tokenizer))
    expected = model.surprisals(dataset.held_out[:50], dataset.training).mean()
    assert ngrams.nats == pytest.approx(expected)
    text = describe_bounds(dataset)
    assert f"the last 500 of {len(dataset.training):,} training tokens" in text
    assert f"the first 50 of {len(dataset.held_out):,} held-out tokens" in text


def test_a_thread_measures_them_all() -> None:
    dataset = dataset_of(TEXT)
    background = References(dataset)
    assert not background.wait(0)
    assert background.results == ()
    background.start()
    assert background.wait(60)
    assert list(background.results) == list(measure_references(dataset))


def test_too_little_memory_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: str) -> dict[str, int]:
        raise MemoryError

    monkeypatch.setattr(references, "compressed_bits", fail)
    background = References(dataset_of(TEXT))
    background.start()
    assert background.wait(60)
    assert [reference.name for reference in background.results] == ["7-gram"]
    assert "memory" in background.bounds
