"""Reading of corpora."""

import gzip
import hashlib
import io
import re
import sys
from pathlib import Path
from typing import Any

import pooch
import pytest
import requests
from textgen_runtime import TextFileError
from textgen_runtime.corpora.corpus import read_corpus
from textgen_runtime.corpora.published import DATA_FOLDER_VARIABLE, PUBLISHED, PublishedCorpus
from textgen_runtime.text import split_records
from textgen_train.errors import CorpusError

from tests.helpers.programs import posix_only

CONTENT = b"ecce homo\n"


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> PublishedCorpus:
    """Replace the published corpus nietzsche by a short text."""
    corpus = PublishedCorpus("https://example.invalid/nietzsche.txt", hashlib.sha256(CONTENT).hexdigest())
    monkeypatch.setitem(PUBLISHED, "nietzsche", corpus)
    return corpus


def test_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "book.txt"
    path.write_bytes("\ufeffé\r\n𝄞".encode())
    corpus = read_corpus(str(path))
    assert (corpus.name, corpus.text) == ("book.txt", "\ufeffé\r\n𝄞")
    assert corpus.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_text_files_of_a_folder_are_joined_in_the_order_of_their_paths(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "b.txt").write_text("second")
    (tmp_path / "a.txt").write_text("\ufefffirst\n", encoding="utf-8")
    (tmp_path / "sub" / "c.txt").write_text("third\n")
    (tmp_path / "sub" / "bb.abc").write_text("tune\n")
    (tmp_path / "notes.md").write_text("no")
    (tmp_path / ".hidden.md").write_text("no")
    corpus = read_corpus(str(tmp_path))
    assert corpus.text == "first\nsecond\ntune\nthird\n"
    assert (corpus.name, len(corpus.files), corpus.skipped) == (tmp_path.name, 4, 1)


def test_the_bytes_of_all_files_of_a_folder_are_joined_unchanged(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbffirst\xff\xc3")
    (tmp_path / "b").write_bytes(b"\xa9second\r\n")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "c.mid.gz").write_bytes(gzip.compress(b"\xef\xbb\xbfthird"))
    (tmp_path / ".hidden").write_bytes(b"no")
    corpus = read_corpus(str(tmp_path), any_bytes=True)
    content = b"\xef\xbb\xbffirst\xff\xc3\xa9second\r\n\xef\xbb\xbfthird"
    assert corpus.text == content.decode("utf-8", "surrogateescape")
    assert corpus.sha256 == hashlib.sha256(content).hexdigest()
    assert (len(corpus.files), corpus.skipped) == (3, 0)


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
    (tmp_path / "poem.txt").write_text("poem\n")
    (tmp_path / "poems-model").mkdir()
    (tmp_path / "poems-model" / "model.onnx").touch()
    (tmp_path / "poems-model" / "samples.txt").write_text("sample\n")
    (tmp_path / "poems-model" / "tensorboard").mkdir()
    (tmp_path / "poems-model" / "tensorboard" / "events").write_text("events\n")
    (tmp_path / "poems-model" / "second.txt").write_text("another poem\n")
    # Without a model beside it, a file of this name is a text like any other.
    (tmp_path / "samples.txt").write_text("a poem named samples\n")
    corpus = read_corpus(str(tmp_path), any_bytes=any_bytes)
    assert corpus.text == "poem\nanother poem\na poem named samples\n"
    assert corpus.skipped == 0


def test_hidden_files_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "poem.txt").write_text("poem\n")
    (tmp_path / ".cache").mkdir()
    (tmp_path / ".cache" / "other.txt").write_text("other\n")
    assert read_corpus(str(tmp_path)).text == "poem\n"


def test_empty_name_is_rejected() -> None:
    with pytest.raises(CorpusError, match="the name of the corpus is empty"):
        read_corpus("")


@posix_only
@pytest.mark.parametrize("folder", ["XDG_CACHE_HOME", "TEXTGEN_DATA_DIR"])
def test_unreadable_folder_of_published_corpora_is_an_error(
    monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    monkeypatch.delenv("TEXTGEN_DATA_DIR", raising=False)
    monkeypatch.setenv(folder, "/" + "x" * 300)
    with pytest.raises(CorpusError, match=r"cannot read .*nietzsche.txt: File name too long"):
        read_corpus("nietzsche")


@posix_only
def test_names_that_are_too_long_or_not_unicode(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"cannot read x+\.{3}x+: File name too long"):
        read_corpus("x" * 300)
    path = tmp_path / "b\udcffk.txt"
    path.write_text("text")
    assert read_corpus(str(path)).name == "b?k.txt"


def test_standard_input_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"from a pipe")))
    corpus = read_corpus("-")
    assert (corpus.name, corpus.text) == ("standard input", "from a pipe")
    # Another program may have read the first line.
    sys.stdin.buffer.seek(5)
    assert read_corpus("-").text == "a pipe"


def test_python_documentation_needs_no_download_and_has_no_tables() -> None:
    corpus = read_corpus("python-docs")
    assert len(corpus.text) > 300_000
    assert "\n" in corpus.text
    assert not re.search(r"-{40}\+|\|  +\|", corpus.text)


@pytest.mark.parametrize("content", [b"", b" \n\r\n\t"])
def test_empty_corpus_is_rejected(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "empty.txt"
    path.write_bytes(content)
    with pytest.raises(CorpusError, match=r"empty\.txt is empty"):
        list(read_corpus(str(path)).chunks())


def test_error_for_a_missing_corpus_lists_the_named_corpora(tmp_path: Path) -> None:
    with pytest.raises(
        CorpusError, match=r"cannot read .*none.*: no such file or folder; .*python-docs, names, nietzsche"
    ):
        read_corpus(str(tmp_path / "none"))
    for name in ("a\0b", "\ud800"):
        with pytest.raises(CorpusError, match=f"cannot read {name}: no file can have this name"):
            read_corpus(name)
    with pytest.raises(CorpusError, match=r"has no \.txt or \.abc files"):
        read_corpus(str(tmp_path))
    with pytest.raises(CorpusError, match="has no files"):
        read_corpus(str(tmp_path), any_bytes=True)


def test_error_for_a_binary_file_states_the_position(tmp_path: Path) -> None:
    (tmp_path / "picture.txt").write_bytes(b"abc\x00")
    for source in (tmp_path, tmp_path / "picture.txt"):
        with pytest.raises(TextFileError, match=r"picture\.txt is not a text: byte 3"):
            list(read_corpus(str(source)).chunks())


def test_published_corpus_is_read_from_the_data_folder(
    published: PublishedCorpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(DATA_FOLDER_VARIABLE, str(tmp_path))
    path = tmp_path / "nietzsche.txt"
    path.write_bytes(CONTENT)
    corpus = read_corpus("nietzsche")
    assert (corpus.name, corpus.text, corpus.sha256) == ("nietzsche", "ecce homo\n", published.sha256)
    path.write_bytes(b"another text")
    with pytest.raises(CorpusError, match="differs from the published text"):
        read_corpus("nietzsche")


def test_published_corpus_is_downloaded_once(
    published: PublishedCorpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    requested: list[str] = []

    def download(url: str, output_file: str, _: Any) -> None:
        requested.append(url)
        Path(output_file).write_bytes(CONTENT)

    monkeypatch.setenv(DATA_FOLDER_VARIABLE, str(tmp_path / "elsewhere"))
    monkeypatch.setattr(pooch, "os_cache", lambda _: tmp_path / "cache")
    monkeypatch.setattr(pooch, "HTTPDownloader", lambda **_: download)
    assert read_corpus("nietzsche").text == read_corpus("nietzsche").text == "ecce homo\n"
    assert requested == [published.url]
    assert capsys.readouterr().err == f"downloading nietzsche from {published.url}\n"


@pytest.mark.usefixtures("published")
def test_download_without_the_train_extra_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(DATA_FOLDER_VARIABLE, str(tmp_path))
    # Importing the package fails as if it were not installed.
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(CorpusError) as caught:
        read_corpus("nietzsche")
    assert 'pip install ".[train]"' in str(caught.value)
    assert DATA_FOLDER_VARIABLE in str(caught.value)


@pytest.mark.usefixtures("published")
@pytest.mark.parametrize("failure", ["no connection", "certificate", "proxy", "no message", "another file"])
def test_failed_download_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: str) -> None:
    def download(_: str, output_file: str, __: Any) -> None:
        if failure == "no connection":
            raise requests.ConnectionError("HTTPSConnectionPool(host not found)")
        if failure == "certificate":
            raise requests.exceptions.SSLError("HTTPSConnectionPool(certificate)")
        if failure == "proxy":
            raise requests.exceptions.ProxyError("HTTPSConnectionPool(proxy)")
        if failure == "no message":
            raise TimeoutError
        Path(output_file).write_bytes(b"another text")

    monkeypatch.setenv(DATA_FOLDER_VARIABLE, str(tmp_path))
    monkeypatch.setattr(pooch, "os_cache", lambda _: tmp_path / "cache")
    monkeypatch.setattr(pooch, "HTTPDownloader", lambda **_: download)
    with pytest.raises(CorpusError, match=DATA_FOLDER_VARIABLE) as caught:
        read_corpus("nietzsche")
    assert "\n" not in str(caught.value)
    assert ("(no connection)" in str(caught.value)) is (failure == "no connection")
    if failure in ("certificate", "proxy"):
        assert failure in str(caught.value)
    assert "HTTPSConnectionPool" not in str(caught.value)
    assert not list(tmp_path.rglob("nietzsche.txt"))
