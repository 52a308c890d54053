"""Rare characters of a corpus become the unknown symbol."""

import random

import pytest
from textgen_runtime.corpus import Corpus
from textgen_runtime.errors import CorpusError
from textgen_runtime.model_file import make_tokenizer
from textgen_runtime.text import Normalization
from textgen_runtime.tokenizer import SpecialTokens
from textgen_train.data.dataset_from_corpus import make_dataset


def test_rare_symbols_of_the_training_text_become_the_unknown_symbol() -> None:
    text = "ab" * 90 + "xyz" + "ab" * 20 + "q" + "ab" * 3
    corpus = Corpus.from_text("rare", text)
    dataset = make_dataset(corpus, Normalization(), 0.05, min_count=2)
    assert dataset.tokenizer == make_tokenizer("character", ["", "a", "b"], SpecialTokens(unknown=0))
    # x, y and z occur in the training text, q in the held-out text.
    assert dataset.rare_count == 4
    shares = (3 / len(dataset.training), 1 / len(dataset.held_out))
    assert dataset.unknown_shares == pytest.approx(shares)
    unlimited = make_dataset(corpus, Normalization(), 0.05)
    assert (len(unlimited.tokenizer), unlimited.tokenizer.unknown, unlimited.rare_count) == (6, None, 0)


def test_the_shares_of_the_unknown_symbol_are_those_of_characters() -> None:
    text = "the cat sat " * 90 + "xyz" + "the cat sat " * 20
    dataset = make_dataset(Corpus.from_text("rare", text), Normalization(), 0.05, min_count=2, level="word")
    assert len(dataset.training) < dataset.training_characters / 2
    assert dataset.unknown_shares == pytest.approx((3 / dataset.training_characters, 0.0))


def test_text_without_rare_symbols_has_no_unknown_symbol() -> None:
    dataset = make_dataset(Corpus.from_text("song", "do re mi " * 40), Normalization(), 0.1, min_count=5)
    assert dataset.tokenizer.unknown is None


def test_text_with_only_rare_symbols_is_rejected() -> None:
    text = "".join(map(chr, range(0x4E00, 0x4E00 + 300)))
    with pytest.raises(CorpusError, match="no symbol occurs at least 2 times in the training text"):
        make_dataset(Corpus.from_text("rare", text), Normalization(), 0.1, min_count=2)


@pytest.mark.parametrize("known", ["a", "ab" * 40])
def test_excerpt_is_a_contiguous_non_empty_part_of_the_text(known: str) -> None:
    """Most symbols of the text occur only once."""
    rare = "".join(map(chr, range(0x4E00, 0x4E00 + 900)))
    text = rare[:400] + known + rare[400:] + "a" + "ab" * 30
    dataset = make_dataset(Corpus.from_text("rare", text), Normalization(), 0.05, min_count=2)
    assert dataset.tokenizer.unknown == 0
    for seed in range(5):
        excerpt = dataset.draw_excerpt(random.Random(seed))
        assert excerpt
        assert excerpt in text
