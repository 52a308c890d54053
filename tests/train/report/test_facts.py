"""The facts of a run."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from textgen_runtime.corpora.corpus import Corpus
from textgen_runtime.text.byte_tokenizer import ByteTokenizer
from textgen_runtime.text.normalization import Normalization
from textgen_train.data.dataset_from_corpus import make_dataset
from textgen_train.report import facts
from textgen_train.report.facts import RunFacts, corpus_facts

from tests.helpers.report_pages import dataset_of, facts_of


def shares(facts_of_run: RunFacts) -> dict[str, float]:
    return dict(facts_of_run.frequent_symbols)


def test_the_most_frequent_symbols_have_their_shares(monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = dataset_of("aaaaa  b\n" * 200)
    found = facts_of(dataset, Path()).frequent_symbols
    assert [name for name, _ in found] == ["a", "space", "newline", "b"]
    assert [share for _, share in found] == pytest.approx([5 / 9, 2 / 9, 1 / 9, 1 / 9])
    monkeypatch.setattr(facts, "MAX_COUNTED_TOKENS", 5)
    assert shares(facts_of(dataset, Path())) == {"a": 1.0}


def test_special_tokens_and_bytes_have_names() -> None:
    assert "unknown token" in shares(facts_of(dataset_of("ab" * 300 + "xyz" + "ab" * 300, 2), Path()))
    tokenizer: Any = ByteTokenizer()
    dataset = replace(dataset_of("ab" * 300), tokenizer=tokenizer)
    dataset = replace(dataset, training=np.array([227, 129, 97, 227], np.uint8))
    assert shares(facts_of(dataset, Path())) == {"byte E3": 0.5, "a": 0.25, "byte 81": 0.25}


def test_the_special_tokens_of_records_are_no_symbols() -> None:
    corpus = Corpus.from_text("song", "".join(f"{n}\n" for n in range(1000)))
    dataset = make_dataset(corpus, Normalization(), records="lines")
    assert len(dataset.tokenizer) == 12
    assert "<dt>symbols</dt><dd>10</dd>" in corpus_facts(facts_of(dataset, Path()), {})
