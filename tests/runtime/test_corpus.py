"""Corpora: files, folders, standard input and named texts, and texts that stand in them."""

import errno
import gzip
import hashlib
import io
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn
from urllib.error import URLError

import pytest
from textgen_runtime import CorpusError, TextFileError
from textgen_runtime import corpus as corpus_module
from textgen_runtime.corpus import DATA_FOLDER_VARIABLE, PUBLISHED, Corpus, CorpusLookup, read_corpus
from textgen_runtime.text import split_records

from tests.helpers.commands import Captured
from tests.helpers.programs import posix_only

TEXT = "ecce homo 𝄞\r\n" * 40

PACKED: dict[str, Callable[[bytes], bytes]] = {"book.txt": bytes, "book.txt.gz": gzip.compress}


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read seven bytes at once, so that characters of several bytes are cut."""
    monkeypatch.setattr(corpus_module, "BLOCK_SIZE", 7)


@pytest.mark.parametrize("name", [*PACKED, "-"])
def test_text_and_hash_do_not_depend_on_the_kind_of_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    content = b"\xef\xbb\xbf" + TEXT.encode()
    if name == "-":
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
        corpus = read_corpus("-")
        assert (corpus.name, corpus.files) == ("standard input", ())
    else:
        (tmp_path / name).write_bytes(PACKED[name](content))
        corpus = read_corpus(str(tmp_path / name))
        assert (corpus.name, corpus.files) == (name, (tmp_path / name,))
    for _ in range(2):
        chunks = list(corpus.chunks())
        assert len(chunks) > 9
        assert "".join(chunks) == TEXT
    assert corpus.sha256 == hashlib.sha256(TEXT.encode()).hexdigest()
    assert corpus.characters == len(TEXT)
    sizes: list[int] = []
    list(corpus.chunks(sizes.append))
    assert sum(sizes) == len(TEXT.encode())


def test_the_texts_of_a_folder_are_joined_in_the_order_of_their_paths(tmp_path: Path) -> None:
    for folder in ("sub", ".cache"):
        (tmp_path / folder).mkdir()
    for name, content in {
        "b.txt": b"second",
        "a.txt": b"\xef\xbb\xbffirst\n",
        "sub/c.txt.gz": gzip.compress(b"\xef\xbb\xbfthird"),
        "sub/bb.abc": b"tune\n",
        "notes.md": b"no",
        "d.gz": b"no",
        ".hidden.txt": b"no",
        ".cache/other.txt": b"no",
    }.items():
        (tmp_path / name).write_bytes(content)
    corpus = read_corpus(str(tmp_path))
    assert corpus.text == "first\nsecond\ntune\nthird\n"
    assert (corpus.name, len(corpus.files)) == (tmp_path.name, 4)
    assert corpus.skipped == (tmp_path / "d.gz", tmp_path / "notes.md")


def test_all_files_of_a_folder_are_joined_as_bytes(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbffirst\xff\xc3")
    (tmp_path / "b").write_bytes(b"\xa9second\r\n\0")
    (tmp_path / "c.mid.gz").write_bytes(gzip.compress(b"\xef\xbb\xbfthird"))
    (tmp_path / ".hidden").write_bytes(b"no")
    corpus = read_corpus(str(tmp_path), any_bytes=True)
    content = b"\xef\xbb\xbffirst\xff\xc3\xa9second\r\n\0\xef\xbb\xbfthird"
    assert corpus.text == content.decode("utf-8", "surrogateescape")
    assert corpus.sha256 == hashlib.sha256(content).hexdigest()
    assert (len(corpus.files), corpus.skipped) == (3, ())


@pytest.mark.parametrize("any_bytes", [False, True])
def test_the_end_of_a_file_of_a_folder_ends_a_record(tmp_path: Path, *, any_bytes: bool) -> None:
    for name, content in {"a": b"anna", "b": b"ben\n", "c": b"", "d": b"cora\r\n\n", "e": b"dora"}.items():
        (tmp_path / f"{name}.txt").write_bytes(content)
    lines = read_corpus(str(tmp_path), any_bytes=any_bytes, records="lines").text
    assert split_records(lines, "lines") == ["anna", "ben", "cora", "dora"]
    blank = read_corpus(str(tmp_path), any_bytes=any_bytes, records="blank").text
    assert blank == "anna\n\nben\n\n\n\ncora\r\n\ndora\n\n"
    assert split_records(blank, "blank") == ["anna", "ben", "cora", "dora"]


@pytest.mark.parametrize("any_bytes", [False, True])
def test_files_of_earlier_runs_are_not_read(tmp_path: Path, *, any_bytes: bool) -> None:
    run = tmp_path / "poems-model"
    run.mkdir()
    (run / "model.onnx").touch()
    for name in ("samples.txt", "predictions.textgen"):
        (run / name).write_text("no\n")
    (run / "second.txt").write_text("another poem\n")
    (tmp_path / "poem.txt").write_text("poem\n")
    # Without a model beside it, a file of this name is a text like any other.
    (tmp_path / "samples.txt").write_text("a poem named samples\n")
    corpus = read_corpus(str(tmp_path), any_bytes=any_bytes)
    assert corpus.text == "poem\nanother poem\na poem named samples\n"
    assert corpus.skipped == ()


@pytest.mark.parametrize("damage", ["cut", "other", "changed"])
def test_a_damaged_compressed_file_is_an_error_of_one_line(tmp_path: Path, damage: str) -> None:
    content = gzip.compress(os.urandom(2000).hex().encode())
    path = tmp_path / "book.txt.gz"
    changed = content[:500] + bytes(100) + content[600:]
    path.write_bytes({"cut": content[:-9], "other": b"text", "changed": changed}[damage])
    with pytest.raises(TextFileError, match=r"book\.txt\.gz: [^\n]+$"):
        list(read_corpus(str(path), any_bytes=True).chunks())


def test_an_invalid_byte_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "picture.txt").write_bytes(b"x" * 30 + b"\0")
    for source in (tmp_path, tmp_path / "picture.txt"):
        with pytest.raises(TextFileError, match=r"picture\.txt.*byte 30"):
            list(read_corpus(str(source)).chunks())


@pytest.mark.parametrize("content", [TEXT[:-1], TEXT[:-1] + "!", TEXT + "!"])
def test_a_corpus_that_changes_between_two_readings_is_an_error(tmp_path: Path, content: str) -> None:
    path = tmp_path / "book.txt"
    path.write_bytes(TEXT.encode())
    corpus = read_corpus(str(path))
    list(corpus.chunks())
    path.write_bytes(content.encode())
    with pytest.raises(CorpusError, match=r"book\.txt has changed"):
        list(corpus.chunks())


def test_a_missing_or_blank_corpus_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for source in ("", str(tmp_path / "none"), str(tmp_path), "a\0b", "\ud800"):
        with pytest.raises(CorpusError):
            read_corpus(source)
    with pytest.raises(CorpusError, match=r"has no files$"):
        read_corpus(str(tmp_path), any_bytes=True)
    (tmp_path / "a.docx").touch()
    with pytest.raises(CorpusError, match=r"save a\.docx as \.txt$"):
        read_corpus(str(tmp_path))
    for content in (b"", b" \n\r\n\t"):
        (tmp_path / "empty.txt").write_bytes(content)
        with pytest.raises(CorpusError, match=r"empty\.txt"):
            list(read_corpus(str(tmp_path / "empty.txt")).chunks())
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(TextFileError):
        read_corpus("-")


@posix_only
def test_names_that_are_too_long_or_not_unicode(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="File name too long"):
        read_corpus("x" * 300)
    path = tmp_path / "b\udcffk.txt"
    path.write_text("text")
    assert read_corpus(str(path)).name == "b?k.txt"


def test_texts_that_need_no_download() -> None:
    corpus = Corpus.from_text("song", "do re mi")
    assert (corpus.name, corpus.text, corpus.files, corpus.skipped) == ("song", "do re mi", (), None)
    documentation = read_corpus("python-docs").text
    assert len(documentation) > 300_000
    assert "\n" in documentation
    assert not re.search(r"-{40}\+|\|  +\|", documentation)


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> tuple[str, str]:
    """Replace the published corpus nietzsche by a short text, and both folders by folders of the test."""
    corpus = "https://example.invalid/nietzsche.txt", hashlib.sha256(TEXT.encode()).hexdigest()
    monkeypatch.setitem(PUBLISHED, "nietzsche", corpus)
    monkeypatch.setenv(DATA_FOLDER_VARIABLE, str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return corpus


def test_a_published_corpus_is_downloaded_once_unless_the_data_folder_has_it(
    published: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    requested: list[str] = []

    def download(url: str, timeout: float) -> io.BytesIO:
        assert timeout
        requested.append(url)
        return io.BytesIO(TEXT.encode())

    monkeypatch.setattr("urllib.request.urlopen", download)
    for _ in range(2):
        corpus = read_corpus("nietzsche")
        assert (corpus.name, corpus.text, corpus.sha256) == ("nietzsche", TEXT, published[1])
    assert requested == [published[0]]
    assert capsys.readouterr().err.count("\n") == 1
    (tmp_path / "cache" / "textgen" / "nietzsche.txt").rename(tmp_path / "nietzsche.txt")
    monkeypatch.setenv(DATA_FOLDER_VARIABLE, str(tmp_path))
    assert read_corpus("nietzsche").text == TEXT
    assert requested == [published[0]]
    (tmp_path / "nietzsche.txt").write_text("another text")
    with pytest.raises(CorpusError, match=r"nietzsche\.txt"):
        read_corpus("nietzsche")


@pytest.mark.usefixtures("published")
@pytest.mark.parametrize("failure", [URLError("no\nconnection"), TimeoutError(), None])
def test_a_failed_download_is_an_error_of_one_line_and_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: OSError | None
) -> None:
    def download(_: str, timeout: float) -> io.BytesIO:
        assert timeout
        if failure:
            raise failure
        return io.BytesIO(b"another text")

    monkeypatch.setattr("urllib.request.urlopen", download)
    with pytest.raises(CorpusError, match=DATA_FOLDER_VARIABLE) as caught:
        read_corpus("nietzsche")
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.rglob("nietzsche.txt"))


@posix_only
@pytest.mark.usefixtures("published")
@pytest.mark.parametrize("folder", ["XDG_CACHE_HOME", DATA_FOLDER_VARIABLE])
def test_an_unreadable_folder_of_published_corpora_is_an_error(
    monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    def refuse(*_: object, **__: object) -> NoReturn:
        raise OSError(errno.ECONNREFUSED, "a download")

    monkeypatch.setattr("urllib.request.urlopen", refuse)
    monkeypatch.setenv(folder, "/" + "x" * 300)
    with pytest.raises(CorpusError, match="File name too long"):
        read_corpus("nietzsche")


def test_a_text_stands_anywhere_in_a_corpus() -> None:
    corpus = CorpusLookup("An apple.\nA café, 𝄞.\n")
    for text in ("", "A", "apple", "An apple.\nA café, 𝄞.\n", "fé, 𝄞"):
        assert corpus.has(text)
    for text in ("\nAn", "\n\n", "pear", "An apple.A café", "apple!", "cafe", "\ud834"):
        assert not corpus.has(text)


def test_lines_stand_in_a_corpus_only_as_complete_lines() -> None:
    corpus = CorpusLookup("Anna\nBo\n\nCarl Gustav\nDora")
    for lines in ("Anna", "Bo", "", "Dora", "Anna\nBo", "Bo\n\nCarl Gustav", "Carl Gustav\nDora"):
        assert corpus.has_lines(lines)
    assert CorpusLookup("Anna\nBo").has_lines("Anna\nBo")
    for lines in ("Ann", "nna", "Carl", "Anna\nB", "nna\nBo", "Bo\nCarl Gustav", "Dora\nAnna", "annabelle"):
        assert not corpus.has_lines(lines)
