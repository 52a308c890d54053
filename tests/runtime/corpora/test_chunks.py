"""Corpora that are read in chunks, and from compressed files."""

import gzip
import hashlib
import io
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard
from textgen_runtime import CorpusError, TextFileError
from textgen_runtime.corpora import sources
from textgen_runtime.corpora.corpus import Corpus, read_corpus

TEXT = "\ufeffэcce homo 𝄞\r\n" * 40


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read seven bytes at once, so that characters of several bytes are cut."""
    monkeypatch.setattr(sources, "BLOCK_SIZE", 7)
    monkeypatch.setattr(sources, "ZSTANDARD_INPUT_SIZE", 5)


def frames(content: bytes) -> bytes:
    """Return two frames of Zstandard."""
    compress = zstandard.ZstdCompressor().compress
    return compress(content[:100]) + compress(content[100:])


PACKED: dict[str, Callable[[bytes], bytes]] = {
    "book.txt": bytes,
    "book.txt.gz": gzip.compress,
    "book.txt.zst": frames,
}


@pytest.mark.parametrize("name", PACKED)
def test_text_and_hash_do_not_depend_on_the_kind_of_file(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(PACKED[name](TEXT.encode()))
    corpus = read_corpus(str(tmp_path / name))
    assert corpus.name == name
    for _ in range(2):
        chunks = list(corpus.chunks())
        assert len(chunks) > 9
        assert "".join(chunks) == TEXT
    assert corpus.sha256 == hashlib.sha256(TEXT.encode()).hexdigest()
    assert corpus.characters == len(TEXT)
    sizes: list[int] = []
    list(corpus.chunks(sizes.append))
    assert sum(sizes) == len(TEXT.encode())


def test_a_folder_may_have_compressed_files(tmp_path: Path) -> None:
    for name, pack in PACKED.items():
        (tmp_path / name).write_bytes(pack(b"\xef\xbb\xbf" + name.encode()))
    (tmp_path / "book.gz").write_bytes(b"no")
    (tmp_path / "tune.abc.gz").write_bytes(gzip.compress(b"tune"))
    assert read_corpus(str(tmp_path)).text == "book.txt\nbook.txt.gz\nbook.txt.zst\ntune\n"


@pytest.mark.parametrize("name", ["book.txt.gz", "book.txt.zst"])
@pytest.mark.parametrize("damage", ["cut", "other", "empty"])
def test_damaged_compressed_files_are_rejected(tmp_path: Path, name: str, damage: str) -> None:
    content = PACKED[name](os.urandom(2000).hex().encode())
    path = tmp_path / name
    path.write_bytes({"cut": content[:-9], "other": b"text", "empty": b""}[damage])
    with pytest.raises((TextFileError, CorpusError), match=rf"{name}(: it is damaged| is empty)") as caught:
        list(read_corpus(str(path)).chunks())
    assert "\n" not in str(caught.value)


def test_reading_zstandard_without_its_package_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "book.txt.zst"
    path.write_bytes(frames(b"text"))
    monkeypatch.setitem(sys.modules, "zstandard", None)
    with pytest.raises(TextFileError, match=r"requires zstandard: .*pip install .*train.*; or decompress it"):
        list(read_corpus(str(path)).chunks())


@pytest.mark.parametrize("content", [TEXT[:-1], TEXT[:-1] + "!", TEXT + "!"])
def test_a_corpus_that_changes_between_two_readings_is_an_error(tmp_path: Path, content: str) -> None:
    path = tmp_path / "book.txt"
    path.write_bytes(TEXT.encode())
    corpus = read_corpus(str(path))
    list(corpus.chunks())
    path.write_bytes(content.encode())
    with pytest.raises(CorpusError, match=r"book\.txt has changed while it was read"):
        list(corpus.chunks())


@pytest.mark.parametrize("memory", [5, 10_000])
def test_a_pipe_is_read_twice(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, memory: int) -> None:
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

    monkeypatch.setattr(sources, "MAX_INPUT_IN_MEMORY", memory)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(Pipe(TEXT.encode())))
    corpus = read_corpus("-", tmp_path)
    assert not list(tmp_path.iterdir())
    first, second = corpus.chunks(), corpus.chunks()
    # Two readings at the same time do not disturb each other.
    assert next(first) == next(second)
    assert "".join(first) == "".join(second) == corpus.text.removeprefix(next(corpus.chunks()))
    assert corpus.text == TEXT


def test_a_pipe_of_windows_is_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    """There, a pipe says that it is seekable, but it is read only once."""

    class Pipe(io.FileIO):
        def seekable(self) -> bool:
            return True

        def seek(self, position: int, _: int = 0, /) -> int:
            return position

        def tell(self) -> int:
            return 0

    reader, writer = os.pipe()
    os.write(writer, TEXT.encode())
    os.close(writer)
    with io.TextIOWrapper(io.BufferedReader(Pipe(reader))) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        corpus = read_corpus("-")
        assert corpus.text == corpus.text == TEXT


def test_a_full_disk_while_a_pipe_is_stored_is_an_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

    class Full(io.BytesIO):
        def write(self, _: object) -> int:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(sources, "SpooledTemporaryFile", lambda *_, **__: Full())
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(Pipe(b"text")))
    with pytest.raises(TextFileError, match="cannot store standard input in a temporary file: No space left"):
        read_corpus("-", tmp_path)


def test_positions_of_errors_count_from_the_start_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "book.txt"
    for content, message in (
        (b"x" * 30 + b"\xe9d", "byte 30 is 0xe9"),
        (b"x" * 30 + b"\x00", "byte 30 is zero"),
        (b"x" * 26 + "𝄞".encode()[:3], "byte 26 is 0xf0"),
    ):
        path.write_bytes(content)
        with pytest.raises(TextFileError, match=message):
            list(read_corpus(str(path)).chunks())


def test_a_corpus_of_a_text() -> None:
    corpus = Corpus.from_text("song", "do re mi")
    assert (corpus.name, corpus.text, corpus.files) == ("song", "do re mi", ())
    assert corpus.sha256 == hashlib.sha256(b"do re mi").hexdigest()
