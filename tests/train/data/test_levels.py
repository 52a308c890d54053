"""Bytes and words: encoding in parts, and the numbers of characters."""

import random
import re
from collections import Counter
from itertools import product

import numpy as np
import pytest
from textgen_runtime.corpus import Corpus
from textgen_runtime.model_file import make_tokenizer
from textgen_runtime.text import Normalization, RecordKind
from textgen_runtime.tokenizer import BYTE_SYMBOLS
from textgen_train.data import vocabularies
from textgen_train.data.dataset import EXCERPT_LENGTH
from textgen_train.data.dataset_from_corpus import make_dataset
from textgen_train.data.parts import Block, WordEncoder
from textgen_train.data.tokens import count_characters, count_characters_after, text_of
from textgen_train.data.vocabularies import count_pieces, frequent_pieces

RNG = random.Random(5)


def in_parts(text: str, size: int) -> list[str]:
    return [text[i : i + size] for i in range(0, len(text), size)]


@pytest.mark.parametrize("size", [1, 7, 100, 5000])
def test_words_do_not_depend_on_the_parts_of_the_text(size: int) -> None:
    tokenizer = make_tokenizer("word", [*"ab ,é", " ab", "ab", "aab", "é" * 60, "éé", " " + "b" * 63, "bb"])
    count = 300 if size == 1 else 3000
    text = "".join(RNG.choice(("ab", "a", " ", " ", ",", "é", "é" * 70, "b" * 70)) for _ in range(count))
    encoder = WordEncoder(tokenizer)
    tokens = [*[encoder([part], None) for part in in_parts(text, size)], encoder.finish()]
    assert np.concatenate(tokens).tolist() == tokenizer.encode(text).tolist()


def test_pieces_do_not_depend_on_the_parts_of_the_text() -> None:
    text = "".join(RNG.choice(("do", "re", " ", "\n", "mi", "é", ", ")) for _ in range(2000))
    whole = count_pieces([Block([text], [])], has_records=False)
    assert sum(len(piece) * count for piece, count in whole.items()) == len(text)
    parts = [Block([part], ["held out"]) for part in in_parts(text, 50)]
    assert count_pieces(parts, has_records=False) == whole


def test_many_different_pieces_are_counted_in_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vocabularies, "MAX_COUNTED_PIECES", 100)
    texts = [f"the cat w{i} of the v{i}\n" for i in range(300)]
    counts = count_pieces([Block([text], []) for text in texts], has_records=False)
    assert len(counts) <= 100
    assert frequent_pieces(counts, 4) == [" cat", " of", " the", "the"]


def test_words_that_occur_three_times_are_frequent() -> None:
    assert frequent_pieces(Counter({"do": 3, "re": 2, "mi": 5, "x": 9}), 9) == ["mi", "do"]


@pytest.mark.parametrize("records", [None, "lines"])
def test_a_vocabulary_of_words_has_at_most_its_size(records: RecordKind | None) -> None:
    lines = [" ".join(words) for words in product(("do", "re", "mi", "fa", "so", "la"), repeat=3)]
    corpus = Corpus.from_text("notes", "\n".join(lines))
    dataset = make_dataset(corpus, Normalization(), level="word", vocabulary_size=16, records=records)
    assert len(dataset.tokenizer) == 16
    assert {*"adefilmors "} <= set(dataset.tokenizer.symbols)


@pytest.mark.parametrize("level", ["byte", "word"])
def test_excerpts_are_texts_and_excerpts_of_words_are_whole_words(level: str) -> None:
    words = ("do", "re", "fä", "la", "日本", "naïve", "über")
    text = "".join(RNG.choice(words) + RNG.choice((" ", " ", ", ", ".\n")) for _ in range(1500))
    dataset = make_dataset(Corpus.from_text("song", text), Normalization(), level=level)
    for seed in range(50):
        excerpt = dataset.draw_excerpt(random.Random(seed))
        assert 30 < len(excerpt) <= EXCERPT_LENGTH
        assert excerpt in text
        assert level == "byte" or set(re.findall(r"\w+", excerpt)) <= set(words)


@pytest.mark.parametrize("block", [1, 2, 3, 1000])
def test_characters_of_bytes(monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    monkeypatch.setattr("textgen_train.data.tokens.BLOCK", block)
    tokenizer = make_tokenizer("byte", BYTE_SYMBOLS)
    content = "aé日𝄞".encode() + b"\xe6\x97\xff\x80" + "é".encode()
    tokens = np.frombuffer(content, np.uint8)
    expected = content.decode("utf-8", "surrogateescape")
    assert text_of(tokens, tokenizer) == expected
    assert count_characters(tokens, tokenizer) == len(expected)
    # After the first byte of a character, the character is complete with its last byte.
    assert count_characters_after(int(tokens[1]), tokens[2:], tokenizer) == len(expected) - 1
    assert count_characters_after(int(tokens[3]), tokens[4:], tokenizer) == len(expected) - 2
    assert count_characters_after(int(tokens[0]), tokens[1:], tokenizer) == len(expected) - 1


def test_characters_of_words_and_records() -> None:
    text = "do re do re do\n" * 100
    dataset = make_dataset(Corpus.from_text("song", text), Normalization(), level="word")
    assert dataset.training_characters == 1350
    assert dataset.held_out_characters == 150
    assert dataset.characters_per_token == 1350 / len(dataset.training)
    names = "".join(f"name{i} é\n" for i in range(200))
    for level in ("byte", "word"):
        records = make_dataset(
            Corpus.from_text("names", names), Normalization(), level=level, records="lines"
        )
        assert records.training_characters + records.held_out_characters == len(names)
        special, size = records.tokenizer.special, len(records.tokenizer)
        assert (special.begin, special.end) == (size - 2, size - 1)
