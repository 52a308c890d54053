"""Normalization, split and encoding of a corpus."""

import random

import numpy as np
import pytest
from textgen_runtime.corpus import Corpus
from textgen_runtime.text import Normalization, held_out_start
from textgen_train.data import dataset_from_corpus
from textgen_train.data.dataset import EXCERPT_LENGTH
from textgen_train.data.dataset_from_corpus import MIN_TRAINING_CHARACTERS, make_dataset
from textgen_train.errors import CorpusError


def corpus(text: str) -> Corpus:
    return Corpus.from_text("book", text)


def test_the_end_is_held_out_and_the_vocabulary_covers_both_texts() -> None:
    dataset = make_dataset(corpus("ab" * 450 + "z" * 100), Normalization(), 0.1)
    assert (len(dataset.training), len(dataset.held_out)) == (900, 100)
    assert dataset.tokenizer.symbols == ("a", "b", "z")
    assert dataset.tokenizer.decode(dataset.held_out) == "z" * 100
    assert dataset.training.dtype == np.uint8


def test_separate_held_out_text() -> None:
    dataset = make_dataset(corpus("AB" * 100), Normalization(lowercase=True), corpus("XYZXYZXYZ\r\n"))
    assert len(dataset.training) == 200
    assert dataset.tokenizer.decode(dataset.held_out) == "yzxyzxyz\n"
    # Its first character is not scored, as when a model is scored on a file.
    assert dataset.tokenizer.symbols[dataset.before_held_out] == "x"
    assert dataset.tokenizer.symbols == ("\n", "a", "b", "x", "y", "z")


def test_line_ends_byte_order_marks_and_astral_characters() -> None:
    dataset = make_dataset(corpus("\ufeff" + "𝄞é\r\n" * 100), Normalization(), 0.1)
    assert dataset.tokenizer.symbols == ("\n", "é", "𝄞")


def test_a_symbol_is_rare_if_it_occurs_less_often_in_the_training_text() -> None:
    text = "ab" * 400 + "xxyyy" + "ab" * 50 + "x"
    dataset = make_dataset(corpus(text), Normalization(), 0.1, min_count=3)
    assert dataset.tokenizer.symbols == ("", "a", "b", "y")
    assert dataset.rare_count == 1


def test_a_corpus_of_one_symbol_or_none_raises() -> None:
    with pytest.raises(CorpusError, match="the corpus book is empty"):
        make_dataset(corpus("\ufeff"), Normalization(), 0.1)
    with pytest.raises(CorpusError, match="contains only the character 'a'"):
        make_dataset(corpus("a" * 1000), Normalization(), 0.1)


@pytest.mark.parametrize(
    ("length", "share"), [(30, 0.1), (MIN_TRAINING_CHARACTERS, 0.1), (2000, 0.003), (2000, 0.97)]
)
def test_a_short_corpus_raises(length: int, share: float) -> None:
    with pytest.raises(CorpusError, match=r"\d+ training characters and \d+ held-out characters"):
        make_dataset(corpus("ab" * (length // 2)), Normalization(), share)


def test_excerpts_come_from_the_training_text_and_begin_with_a_word() -> None:
    text = " ".join(f"word{i}" for i in range(500))
    dataset = make_dataset(corpus(text), Normalization(), 0.1)
    training = dataset.tokenizer.decode(dataset.training)
    rng = random.Random(3)
    for _ in range(50):
        excerpt = dataset.draw_excerpt(rng)
        assert len(excerpt) == EXCERPT_LENGTH
        assert excerpt.startswith("word")
        assert excerpt in training


def test_an_excerpt_near_the_end_of_the_text_is_complete() -> None:
    dataset = make_dataset(corpus("ab" * 80), Normalization(), 0.1)
    rng = random.Random(0)
    assert {len(dataset.draw_excerpt(rng)) for _ in range(50)} == {EXCERPT_LENGTH}


def test_excerpts_avoid_lines_of_dashes() -> None:
    dataset = make_dataset(corpus(("-" * 400 + "the quick brown fox " * 10) * 20), Normalization(), 0.1)
    rng = random.Random(0)
    excerpts = [dataset.draw_excerpt(rng) for _ in range(20)]
    assert sum(len(set(excerpt)) > 5 for excerpt in excerpts) > 15


@pytest.mark.parametrize("length", [200, 1000, 1001, 2345, 12_345, 99_999, 1_000_003])
def test_the_default_held_out_part_has_a_maximum(monkeypatch: pytest.MonkeyPatch, length: int) -> None:
    monkeypatch.setattr(dataset_from_corpus, "MAX_HELD_OUT_CHARACTERS", 100)
    dataset = make_dataset(corpus("ab" * (length // 2) + "a" * (length % 2)), Normalization())
    assert len(dataset.held_out) <= 100
    assert len(dataset.held_out) >= min(99, length // 10)
    assert dataset.held_out_share is not None
    # The share is short, and the one that a person would type selects the same part.
    typed = float(f"{100 * dataset.held_out_share:g}") / 100
    assert held_out_start(length, typed) == len(dataset.training)


def test_an_explicit_share_has_no_maximum(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataset_from_corpus, "MAX_HELD_OUT_CHARACTERS", 100)
    assert len(make_dataset(corpus("ab" * 1000), Normalization(), 0.5).held_out) == 1000


@pytest.mark.parametrize(("rare", "common"), [(10, 2), (11, 3), (30, 22)])
def test_common_symbols_make_up_99_percent_of_the_training_text(rare: int, common: int) -> None:
    text = "ab" * 500 + "".join(map(chr, range(0x4E00, 0x4E00 + rare))) + "a" * 20
    held_out = Corpus.from_text("held out", "a" * 20)
    dataset = make_dataset(Corpus.from_text("text", text), Normalization(), held_out)
    assert dataset.sizes == (common, len(text))
