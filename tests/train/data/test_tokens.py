"""Arrays of tokens in memory and in temporary files."""

import mmap
import os
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, NoReturn

import numpy as np
import pytest
from textgen_runtime.corpus import Corpus
from textgen_runtime.errors import OutputError
from textgen_runtime.text import Normalization
from textgen_train.data import tokens as module
from textgen_train.data.dataset_from_corpus import make_dataset
from textgen_train.data.tokens import TokenWriter, count_tokens, release_pages, token_blocks


def write(folder: Path, count: int, vocabulary_size: int) -> module.Tokens:
    """Write 0, 1, 2, ... in several parts."""
    writer = TokenWriter(vocabulary_size, folder)
    for part in np.array_split(np.arange(count), 7):
        writer.append(part)
    return writer.finish()


@pytest.mark.parametrize(("vocabulary_size", "size"), [(256, 1), (257, 2), (65536, 2), (65537, 4)])
@pytest.mark.parametrize("memory", [0, 10**6])
def test_tokens_have_the_smallest_type(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, vocabulary_size: int, size: int, memory: int
) -> None:
    monkeypatch.setattr(module, "MAX_BYTES_IN_MEMORY", memory)
    tokens = write(tmp_path, 200, vocabulary_size)
    assert tokens.dtype.itemsize == size
    assert not tokens.flags.writeable
    assert tokens.tolist() == list(range(200))
    # The file has no name.
    assert os.listdir(tmp_path) == []
    release_pages(tokens[20:])
    assert tokens.tolist() == list(range(200))


def test_memory_stays_mapped_where_it_cannot_be_released(tmp_path: Path) -> None:
    """Windows has no madvise."""

    class Mapping(mmap.mmap):
        @property
        def madvise(self) -> NoReturn:
            raise AttributeError

    path = tmp_path / "tokens"
    path.write_bytes(bytes(range(200)))
    with path.open("rb") as file:
        tokens = np.frombuffer(Mapping(file.fileno(), 0, access=mmap.ACCESS_READ), np.uint8)
    release_pages(tokens[20:])
    assert tokens.tolist() == list(range(200))


def test_the_file_of_a_folder_that_does_not_exist_is_above_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders: list[Path] = []

    def spy(dir: Path) -> object:  # noqa: A002 (the name of the parameter)
        folders.append(dir)
        return TemporaryFile(dir=dir)

    monkeypatch.setattr(module, "MAX_BYTES_IN_MEMORY", 10)
    monkeypatch.setattr(module, "TemporaryFile", spy)
    write(tmp_path / "a" / "b", 100, 100)
    assert folders == [tmp_path]


def test_a_full_disk_is_an_error_of_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "MAX_BYTES_IN_MEMORY", 10)
    monkeypatch.setattr(module, "TemporaryFile", fail)
    with pytest.raises(OutputError, match=r"cannot store the tokens .*: No space left on device; it needs"):
        write(tmp_path, 100, 100)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int64])
@pytest.mark.parametrize("count", [0, 1, 30, 31])
def test_counts(monkeypatch: pytest.MonkeyPatch, dtype: Any, count: int) -> None:
    monkeypatch.setattr(module, "BLOCK", 5)
    tokens: module.Tokens = np.random.default_rng(0).integers(9, size=count).astype(dtype)
    assert np.concatenate([*token_blocks(tokens), []]).tolist() == tokens.tolist()
    assert count_tokens(tokens, 9).tolist() == np.bincount(tokens, minlength=9).tolist()


def test_a_dataset_in_a_file_equals_one_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chunks = ["do ré mi\r", "\nfa so", "l la 漢 si", " do\n"] * 80
    corpus = Corpus("song", lambda: chunks)
    expected = make_dataset(Corpus.from_text("song", "".join(chunks)), Normalization(), min_count=90)
    monkeypatch.setattr(module, "MAX_BYTES_IN_MEMORY", 10)
    dataset = make_dataset(corpus, Normalization(), min_count=90, folder=tmp_path)
    assert dataset.tokenizer == expected.tokenizer
    assert dataset.tokenizer.unknown == 0
    assert dataset.training.tolist() == expected.training.tolist()
    assert dataset.held_out.tolist() == expected.held_out.tolist()
    assert dataset.unknown_shares == expected.unknown_shares
