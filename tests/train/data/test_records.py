"""Corpora of records: their split, their tokens, and how a list is recognized."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from textgen_runtime.corpus import Corpus, read_corpus
from textgen_runtime.text import SEPARATORS, Normalization, RecordKind, is_held_out, split_records
from textgen_train.data import parts
from textgen_train.data import tokens as module
from textgen_train.data.dataset import Dataset
from textgen_train.data.dataset_from_corpus import make_dataset
from textgen_train.data.tokens import Tokens, looks_like_records, record_ends, record_parts
from textgen_train.errors import CorpusError

NAMES = [f"name{'abcdefghij'[i % 10]}{i}" for i in range(200)]
END = 9


def texts_of(dataset: Dataset, tokens: Tokens) -> list[str]:
    """Return the records of a part of a dataset, with U+FFFD for the unknown symbol."""
    end = dataset.tokenizer.special.end
    assert end is not None
    ends = record_ends(tokens, end)
    assert ends[-1] == len(tokens)
    pieces = np.split(tokens, ends[:-1])
    return ["".join(dataset.tokenizer.decode_each(piece[:-1].tolist())) for piece in pieces]


@pytest.mark.parametrize(("joined", "used"), [(None, "blank"), ("lines", "blank"), ("blank", None)])
def test_files_that_were_joined_for_other_records_are_refused(
    tmp_path: Path, joined: RecordKind | None, used: RecordKind | None
) -> None:
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text("\n".join(NAMES))
    corpus = read_corpus(str(tmp_path), records=joined)
    with pytest.raises(ValueError, match=f"joined for records={joined!r}: pass records={used!r} to read"):
        make_dataset(corpus, Normalization(), records=used)


@pytest.mark.parametrize("kind", ["lines", "blank"])
@pytest.mark.parametrize("share", [0.1, 0.4])
def test_the_held_out_records_are_those_that_the_runtime_selects(kind: RecordKind, share: float) -> None:
    text = (SEPARATORS[kind] * 2).join(f"{name}\nb" if kind == "blank" else name for name in NAMES)
    dataset = make_dataset(Corpus.from_text("names", text), Normalization(), share, records=kind)
    expected = split_records(text, kind)
    assert len(expected) == 200
    assert texts_of(dataset, dataset.training) == [r for r in expected if not is_held_out(r, share)]
    assert texts_of(dataset, dataset.held_out) == [r for r in expected if is_held_out(r, share)]
    assert dataset.record_counts == (200 - dataset.record_counts[1], dataset.record_counts[1])
    assert (dataset.records, dataset.held_out_share) == (kind, share)


def test_begin_and_end_follow_the_symbols() -> None:
    dataset = make_dataset(Corpus.from_text("names", "\n".join(NAMES)), Normalization(), records="lines")
    assert dataset.tokenizer.symbols == (*"0123456789abcdefghijmn", "", "")
    assert dataset.tokenizer.special._asdict() == {"unknown": None, "begin": 22, "end": 23}
    assert dataset.before_held_out == 22
    assert dataset.rare_count == 0
    assert not (dataset.training == 22).any()


def test_rare_symbols_are_counted_in_the_training_records() -> None:
    corpus = Corpus.from_text("names", "\n".join([*NAMES, "zz", "zq", "qz"]))
    dataset = make_dataset(corpus, Normalization(), 0.2, min_count=5, records="lines")
    assert dataset.tokenizer.special == (0, len(dataset.tokenizer) - 2, len(dataset.tokenizer) - 1)
    assert dataset.rare_count == 2
    texts = texts_of(dataset, dataset.training) + texts_of(dataset, dataset.held_out)
    assert texts.count("\ufffd\ufffd") == 3


def test_a_separate_text_holds_out_all_of_its_records() -> None:
    corpus, other = Corpus.from_text("names", "\n".join(NAMES)), Corpus.from_text("others", "xa\nxb\nxc\n")
    dataset = make_dataset(corpus, Normalization(), other, records="lines")
    assert texts_of(dataset, dataset.training) == NAMES
    assert texts_of(dataset, dataset.held_out) == ["xa", "xb", "xc"]
    assert dataset.held_out_share is None


def test_chunks_and_files_do_not_change_the_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "\r\n".join(NAMES)
    expected = make_dataset(Corpus.from_text("names", text), Normalization(), records="lines")
    monkeypatch.setattr(module, "MAX_BYTES_IN_MEMORY", 10)
    monkeypatch.setattr(parts, "BLOCK_CHARACTERS", 50)
    corpus = Corpus("names", lambda: [text[i : i + 7] for i in range(0, len(text), 7)])
    dataset = make_dataset(corpus, Normalization(), records="lines", folder=tmp_path)
    assert dataset.tokenizer == expected.tokenizer
    assert texts_of(dataset, dataset.training) == texts_of(expected, expected.training)
    assert texts_of(dataset, dataset.held_out) == texts_of(expected, expected.held_out)


@pytest.mark.parametrize(
    ("text", "kind", "share", "message"),
    [
        (
            "one record\n" * 100,
            "lines",
            0.1,
            "splits it at line ends and finds 100, all in the training part; a share of about 0.1 is held",
        ),
        (
            "a\nb\nc\n",
            "blank",
            0.1,
            "splits it at blank lines and finds 1, all in the training part; a share",
        ),
        (
            "a\nb\nc\n",
            "blank",
            0.99,
            "all in the held-out part; a share of about 0.99 is held out, and equal",
        ),
        ("a\nb\nc\n", "blank", 0.99, "; add records, lower held_out, or pass"),
    ],
)
def test_one_record_and_its_copies_cannot_be_split(
    text: str, kind: RecordKind, share: float, message: str
) -> None:
    with pytest.raises(CorpusError) as caught:
        make_dataset(Corpus.from_text("names", text), Normalization(), share, records=kind)
    assert str(caught.value).startswith("the corpus names has too few records: ")
    assert message in str(caught.value)


@pytest.mark.parametrize(("kind", "text"), [("lines", "a\n" + "bc" * 30), ("blank", "a\n\n" + "bc\n" * 20)])
def test_an_endless_record_is_an_error(monkeypatch: pytest.MonkeyPatch, kind: RecordKind, text: str) -> None:
    monkeypatch.setattr(parts, "MAX_RECORD_CHARACTERS", 50)
    corpus = Corpus("names", lambda: [text[i : i + 7] for i in range(0, len(text), 7)])
    with pytest.raises(
        CorpusError, match="the corpus names has a record of more than 50 characters: train wit"
    ):
        make_dataset(corpus, Normalization(), records=kind)


def test_the_first_held_out_records_are_complete() -> None:
    dataset = make_dataset(Corpus.from_text("names", "\n".join(NAMES)), Normalization(), 0.5, records="lines")
    expected = texts_of(dataset, dataset.held_out)
    first = dataset.first_held_out(40)
    assert 30 < len(first.held_out) <= 40
    texts = texts_of(first, first.held_out)
    assert texts == expected[: len(texts)]
    assert texts_of(dataset, dataset.first_held_out(1).held_out) == expected[:1]


@given(st.lists(st.integers(0, 12), min_size=1, max_size=30), st.integers(1, 40), st.integers(1, 9))
def test_parts_hold_complete_records(lengths: list[int], size: int, block: int) -> None:
    tokens = np.concatenate([np.array([*range(min(length, 9)), END], np.uint8) for length in lengths])
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(module, "BLOCK", block)
        bounds = list(record_parts(tokens, END, size))
        ends = record_ends(tokens, END)
    assert ends.tolist() == (np.flatnonzero(tokens == END) + 1).tolist()
    assert [start for start, _ in bounds] == [0, *(stop for _, stop in bounds[:-1])]
    assert bounds[-1][1] == len(tokens)
    for start, stop in bounds:
        assert stop in ends
        # Only a part with a single record may be longer.
        assert stop - start <= size or int((tokens[start:stop] == END).sum()) == 1


def test_a_list_is_recognized() -> None:
    assert looks_like_records("\n".join(NAMES))
    assert looks_like_records("\n".join(NAMES * 5) + "\n\n" + "a long line " * 30)
    assert not looks_like_records("\n".join(NAMES[:100]))
    assert not looks_like_records("\n\n".join(NAMES))
    assert not looks_like_records("\n".join(name * 20 for name in NAMES))
    assert not looks_like_records("A text without line ends. " * 500)


@pytest.mark.parametrize("level", ["character", "byte"])
def test_the_end_of_a_file_ends_a_record(tmp_path: Path, level: str) -> None:
    for index, name in enumerate(NAMES):
        (tmp_path / f"{index:03}.txt").write_text(f"{name}\n{name[::-1]}")
    corpus = read_corpus(str(tmp_path), any_bytes=level == "byte", records="blank")
    dataset = make_dataset(corpus, Normalization(), 0.2, level=level, records="blank")
    assert sum(dataset.record_counts) == len(NAMES)
