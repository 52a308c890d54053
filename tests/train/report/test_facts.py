"""The facts of a run, and how to use a new model."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from textgen_runtime.corpus import Corpus
from textgen_runtime.model_file import Metadata, make_tokenizer
from textgen_runtime.text import Normalization
from textgen_runtime.tokenizer import BYTE_SYMBOLS
from textgen_train.data.dataset_from_corpus import make_dataset
from textgen_train.report import facts
from textgen_train.report.facts import RunFacts, corpus_facts, generating_command, generating_program

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
    tokenizer: Any = make_tokenizer("byte", BYTE_SYMBOLS)
    dataset = replace(dataset_of("ab" * 300), tokenizer=tokenizer)
    dataset = replace(dataset, training=np.array([227, 129, 97, 227], np.uint8))
    assert shares(facts_of(dataset, Path())) == {"byte E3": 0.5, "a": 0.25, "byte 81": 0.25}


def test_the_special_tokens_of_records_are_no_symbols() -> None:
    corpus = Corpus.from_text("song", "".join(f"{n}\n" for n in range(1000)))
    dataset = make_dataset(corpus, Normalization(), records="lines")
    assert len(dataset.tokenizer) == 12
    assert "<dt>symbols</dt><dd>10</dd>" in corpus_facts(facts_of(dataset, Path()), {})


CHARACTERS = make_tokenizer("character", ["a", "b"])


@pytest.mark.parametrize(
    ("metadata", "options", "arguments"),
    [
        (Metadata(CHARACTERS, prompts=("ab",)), "--temp 0.5", "length=400, temperature=0.5"),
        # A record ends by itself.
        (
            Metadata(CHARACTERS, records="lines"),
            "--count 20 --unique --novel 'my names.txt'",
            "temperature=0.5",
        ),
        # The bytes of a file that is no text have no excerpts to continue.
        (
            Metadata(make_tokenizer("byte", BYTE_SYMBOLS)),
            "--raw --prompt-file BEGINNING > NEW",
            '"TEXT", length=400, temperature=0.5',
        ),
    ],
)
def test_the_command_and_the_program_fit_the_model(metadata: Metadata, options: str, arguments: str) -> None:
    folder = Path("my model")
    assert generating_command(folder, metadata, "my names.txt") == f"textgen-run 'my model' {options}"
    assert f"textgen.load('my model')\nprint(model.generate({arguments}))" in generating_program(
        folder, metadata
    )


@pytest.mark.parametrize(
    ("source", "option"), [("-names.txt", " --novel ./-names.txt"), ("-", ""), (None, "")]
)
def test_the_command_names_a_corpus_that_can_be_read_again(source: str | None, option: str) -> None:
    command = generating_command(Path("model"), Metadata(CHARACTERS, records="lines"), source)
    assert command == f"textgen-run model --count 20 --unique{option}"
