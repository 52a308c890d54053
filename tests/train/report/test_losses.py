"""The losses of simple models on the held-out text."""

import random
import re
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from textgen_runtime.baselines import KneserNey, compressed_bits
from textgen_runtime.corpus import Corpus, read_corpus
from textgen_runtime.text import Normalization, RecordKind
from textgen_train.data.dataset_from_corpus import make_dataset, read_texts
from textgen_train.data.tokens import text_of
from textgen_train.report import losses
from textgen_train.report.losses import References, describe_bounds, measure_references

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


@pytest.mark.parametrize("records", [None, "lines"])
@pytest.mark.parametrize("separate", [False, True])
def test_compressors_get_the_text_with_its_rare_symbols(
    records: RecordKind | None, separate: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(losses, "MAX_TRAINING_TOKENS", 1500)
    monkeypatch.setattr(losses, "MAX_HELD_OUT_TOKENS", 400)
    rare = [f"{word}{chr(0x4E00 + i)}" for i, word in enumerate(TEXT.split())]
    corpus = Corpus.from_text("rare", "\n".join(rare))
    other = Corpus.from_text("other", "\n".join(rare[100:400])) if separate else None
    dataset = make_dataset(corpus, Normalization(), other or 0.2, 2, records=records)
    assert dataset.rare_count == 600
    given: list[str] = []

    def compressed_bits(text: str) -> dict[str, int]:
        given.append(text)
        return {"gzip": len(text)}

    monkeypatch.setattr(losses, "compressed_bits", compressed_bits)
    *_, compressor = measure_references(dataset, partial(read_texts, corpus, other, dataset))
    before, both = given
    assert (len(before), len(both)) == (1500, 1900)
    # A character counts as in the text without rare symbols.
    assert compressor.nats == pytest.approx(400 / 400 * np.log(2))
    hidden = re.sub("[\u4e00-\u5500]", "\ufffd", both)
    assert hidden[:1500] == text_of(dataset.training[-1500:], dataset.tokenizer)
    # The first symbol of a separate text is not predicted.
    start = 1 if separate and records is None else 0
    assert hidden[1500 + start :] == text_of(dataset.held_out[: 400 - start], dataset.tokenizer)
    assert len(set(both) - set(hidden)) > 100


def test_a_corpus_that_cannot_be_read_again_leaves_the_n_gram_model(tmp_path: Path) -> None:
    path = tmp_path / "rare.txt"
    path.write_text(TEXT + "\u00e9" + TEXT, encoding="utf-8")
    corpus = read_corpus(str(path))
    dataset = make_dataset(corpus, Normalization(), 0.1, min_count=2)
    path.unlink()
    background = References(dataset, partial(read_texts, corpus, None, dataset))
    background.start()
    assert background.wait(60)
    assert [reference.name for reference in background.results] == ["7-gram"]
    assert "no figures" in background.bounds


def test_long_texts_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = dataset_of(TEXT)
    assert describe_bounds(dataset) == ""
    monkeypatch.setattr(losses, "MAX_TRAINING_TOKENS", 500)
    monkeypatch.setattr(losses, "MAX_HELD_OUT_TOKENS", 50)
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

    monkeypatch.setattr(losses, "compressed_bits", fail)
    background = References(dataset_of(TEXT))
    background.start()
    assert background.wait(60)
    assert [reference.name for reference in background.results] == ["7-gram"]
    assert "memory" in background.bounds
