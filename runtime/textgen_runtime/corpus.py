"""Corpora: files, folders, standard input and named texts, read in chunks; texts that stand in them."""

import gzip
import hashlib
import os
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Self

from .errors import CorpusError, TextFileError, first_line, path_failure, shorten
from .files import (
    STANDARD_INPUT,
    decode_any_chunks,
    decode_utf8_chunks,
    make_folder,
    read_bytes,
    replace_file,
)
from .model_file import MODEL_FILE
from .terminal import write_stderr
from .text import SEPARATORS, RecordKind
from .tokenizer import BYTE

if TYPE_CHECKING:
    from .model_file import Metadata

# Bytes. A larger block does not fit into a second-level cache, and is processed more slowly.
BLOCK_SIZE = 2**20

# Compressed files.
GZIP = ".gz"

# Plain text and music in ABC notation.
TEXT_FILES = (".txt", ".abc", f".txt{GZIP}", f".abc{GZIP}")

# What training writes to its output folder. It is not part of a corpus.
RUN_FILES = (
    MODEL_FILE,
    # The 8-bit version of the model file.
    QUANTIZED_FILE := "model.int8.onnx",
    METRICS_FILE := "metrics.jsonl",
    SAMPLES_FILE := "samples.txt",
    REPORT_FILE := "report.html",
    CHECKPOINT_FILE := "checkpoint.textgen",
    # What the models of --teacher predict, until the run is complete.
    PREDICTIONS_FILE := "predictions.textgen",
)

DATA_FOLDER_VARIABLE = "TEXTGEN_DATA_DIR"
DOWNLOAD_TIMEOUT_SECONDS = 30

# The URL and the SHA-256 of texts that are downloaded once.
PUBLISHED = {
    "names": (
        "https://raw.githubusercontent.com/karpathy/makemore/master/names.txt",
        "0a30b5557f192f32ab962680889aac5f6fda0f4cecf40a6d0b5694f58ea8cc4d",
    ),
    "nietzsche": (
        "https://s3.amazonaws.com/text-datasets/nietzsche.txt",
        "23cf69874ab69d3d256099ab530ea4be24d47d9675b673bcc67cbcd6298ec647",
    ),
    "tinyshakespeare": (
        "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",
        "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
    ),
}

# A line of a table that is drawn with the characters + - = |.
TABLE_LINE = re.compile(r"^ *(\|.*\||\+[-=+ ]*\+)\n", re.MULTILINE)


def python_docs() -> str:
    """Return the Python language reference, which is part of CPython: about 430,000 characters.

    Tables are removed: at low temperatures, a model that was trained on them generates mostly rulers and
    empty cells.
    """
    # Imported only when needed, because the module has half a megabyte.
    from pydoc_data.topics import topics

    return TABLE_LINE.sub("", "\n".join(topics[topic] for topic in sorted(topics)))


EMBEDDED: dict[str, Callable[[], str]] = {"python-docs": python_docs}

CORPUS_NAMES = (*EMBEDDED, *PUBLISHED)


class Corpus:
    """A text to train on or to score. It is read in chunks, and can be read more than once.

    Args:
        name: The name of a named corpus, or the last component of the path.
        read: Returns the text in chunks, not yet normalized. It is called each time the corpus is read.
        files: The files that are read; empty for standard input and named corpora.
        records: The kind of records at whose borders the files are joined; None for continuous text.
        skipped: The other files of a folder, without hidden ones and those of training runs; None if the
            corpus is no folder.

    Attributes:
        name: The name of the corpus.
        files: The files that are read.
        records: The kind of records.
        skipped: The other files of a folder, or None.
    """

    def __init__(
        self,
        name: str,
        read: Callable[[], Iterable[str]],
        files: tuple[Path, ...] = (),
        records: RecordKind | None = None,
        skipped: tuple[Path, ...] | None = None,
    ) -> None:
        # A file name may be invalid Unicode, which a model file cannot store.
        self.name = name.encode(errors="replace").decode()
        self.files, self.records, self.skipped = files, records, skipped
        self._read = read
        # The number of characters and the SHA-256, when the text was read.
        self._content: tuple[int, str] | None = None

    @classmethod
    def from_text(cls, name: str, text: str) -> Self:
        """Return a corpus that has this text."""
        return cls(name, lambda: [text])

    def chunks(self, on_read: Callable[[int], None] | None = None) -> Iterator[str]:
        """Read the corpus and yield its text in chunks of about one million bytes, not yet normalized.

        Args:
            on_read: Called with the size in bytes of each chunk.

        Raises:
            TextFileError: If a file cannot be read or is not UTF-8.
            CorpusError: If the corpus has only white space, or if it has changed since it was last read.
        """
        characters, digest, is_blank = 0, hashlib.sha256(), True
        for chunk in self._read():
            content = chunk.encode("utf-8", "surrogateescape")
            characters += len(chunk)
            is_blank = is_blank and (not chunk or chunk.isspace())
            digest.update(content)
            if on_read:
                on_read(len(content))
            yield chunk
        if is_blank:
            raise CorpusError(f"the corpus {self.name} is empty or has only white space: pass a text")
        content_read = characters, digest.hexdigest()
        if self._content not in (None, content_read):
            raise CorpusError(
                f"the corpus {self.name} has changed while it was read: start again when it stays the same"
            )
        self._content = content_read

    @property
    def text(self) -> str:
        """The entire text, not yet normalized. The errors are those of ``chunks``."""
        return "".join(self.chunks())

    @property
    def characters(self) -> int:
        """Number of characters, not yet normalized. The errors are those of ``chunks``."""
        return self._known_content()[0]

    @property
    def sha256(self) -> str:
        """Hexadecimal SHA-256 of the text in UTF-8. A model file stores it to identify its corpus.

        The errors are those of ``chunks``.
        """
        return self._known_content()[1]

    def _known_content(self) -> tuple[int, str]:
        while self._content is None:
            for _ in self.chunks():
                pass
        return self._content


def read_corpus(source: str, *, any_bytes: bool = False, records: RecordKind | None = None) -> Corpus:
    """Find a corpus. Its text is read when it is used; standard input is read at once, into memory.

    Args:
        source: One of ``CORPUS_NAMES``, a UTF-8 file, a folder, or ``-`` for standard input. A file ending in
            ``.gz`` is decompressed. A folder means all ``.txt`` and ``.abc`` files in it and in its
            sub-folders, in the order of their paths. They may be compressed, such as ``.txt.gz``. Hidden
            files and the files of earlier training runs are excluded. For a file with the name of a named
            corpus, pass a path such as ``./nietzsche``.
        any_bytes: Whether to accept files of any content. Bytes that are not UTF-8 become U+DC80 to U+DCFF.
            A folder then means all files in it, whatever their names, and without ``records`` they are joined
            unchanged. If it is false, a byte-order mark at the start of a file is dropped, and a line end is
            added between two files if the first one ends without one.
        records: How the records of the text are separated; None for continuous text. At the end of each file
            of a folder, the line ends that separate two records are added if the file ends without them.

    Raises:
        CorpusError: If the corpus is not available.
        TextFileError: If standard input cannot be read.
    """
    if source in EMBEDDED:
        return Corpus.from_text(source, EMBEDDED[source]())
    if source in PUBLISHED:
        path = _published_file(source)
        return Corpus(source, lambda: _read_file(path, any_bytes))
    if source == STANDARD_INPUT:
        content, name = read_bytes(source), "standard input"
        blocks = range(0, len(content), BLOCK_SIZE)
        return Corpus(name, lambda: _decode((content[i : i + BLOCK_SIZE] for i in blocks), name, any_bytes))
    missing = f"cannot read {shorten(source)}: no file, no folder and none of {', '.join(CORPUS_NAMES)}"
    if not source:
        raise CorpusError(missing)
    path = Path(source)
    try:
        if path.is_dir():
            files, skipped = _find_files(path, any_bytes)
            name = path.resolve().name
            return Corpus(name, lambda: _read_files(files, any_bytes, records), files, records, skipped)
        path.stat()
    except FileNotFoundError:
        raise CorpusError(missing) from None
    except (OSError, ValueError) as error:
        raise CorpusError(f"cannot read {shorten(source)}: {path_failure(error)}") from None
    return Corpus(path.name, lambda: _read_file(path, any_bytes), (path,))


def corpus_for(metadata: "Metadata", source: str) -> Corpus:
    """Find a corpus that a model shall read as it read its training text; see ``read_corpus``.

    Args:
        metadata: The metadata of the model. Its level and its records determine how files are read.
        source: As for ``read_corpus``.
    """
    return read_corpus(source, any_bytes=metadata.tokenizer.level == BYTE, records=metadata.records)


def _find_files(folder: Path, any_bytes: bool) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
    """Return the files of a folder that are read, and the others, in the order of their paths.

    Hidden files and those of training runs are not among them.
    """
    found = [
        path
        for path in folder.rglob("*")
        if not any(part.startswith(".") for part in path.relative_to(folder).parts)
        and path.is_file()
        and not _is_of_run(path, folder)
    ]
    read = found if any_bytes else [path for path in found if path.name.lower().endswith(TEXT_FILES)]
    if not read:
        kinds = f".txt or .abc files: save {shorten(min(found).name)} as .txt" if found else "files"
        raise CorpusError(f"the folder {shorten(str(folder))} has no {kinds}")
    return tuple(sorted(read)), tuple(sorted({*found} - {*read}))


def _is_of_run(path: Path, folder: Path) -> bool:
    """Return whether a training run has written a file: it, or a folder with it, is beside a model."""
    depth = len(path.relative_to(folder).parts)
    return any(
        part.name in RUN_FILES
        and any((part.parent / mark).exists() for mark in (MODEL_FILE, CHECKPOINT_FILE))
        for part in (path, *path.parents)[:depth]
    )


def _file_blocks(path: Path) -> Iterator[bytes]:
    """Yield the content of a file in blocks. A file ending in ``.gz`` is decompressed."""
    try:
        with path.open("rb") as file:
            content = gzip.GzipFile(fileobj=file) if path.suffix == GZIP else file
            yield from iter(lambda: content.read(BLOCK_SIZE), b"")
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise TextFileError(f"cannot read {shorten(str(path))}: {reason}") from None


def _decode(blocks: Iterable[bytes], name: str, any_bytes: bool) -> Iterator[str]:
    return decode_any_chunks(blocks) if any_bytes else decode_utf8_chunks(blocks, name)


def _read_file(path: Path, any_bytes: bool) -> Iterator[str]:
    return _decode(_file_blocks(path), shorten(str(path)), any_bytes)


def _read_files(files: tuple[Path, ...], any_bytes: bool, records: RecordKind | None) -> Iterator[str]:
    """Yield the texts of files as one text."""
    if any_bytes and records is None:
        # A character may begin in one file and end in the next one.
        yield from decode_any_chunks(block for path in files for block in _file_blocks(path))
        return
    # The line ends after a file, so that its last line or record is separate from the next file.
    separator = "\n" if records is None else SEPARATORS[records]
    for path in files:
        end = ""
        for chunk in _read_file(path, any_bytes):
            yield chunk
            end = (end + chunk)[-len(separator) :]
        yield separator[len(end) - len(end.rstrip("\n")) :]


def _published_file(name: str) -> Path:
    """Return the path of a published corpus: in the data folder if it is there, else in the cache.

    A corpus that is in neither place is downloaded to the cache.

    Raises:
        CorpusError: If the corpus cannot be downloaded, or is another text.
    """
    url, sha256 = PUBLISHED[name]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "textgen"
    data = os.environ.get(DATA_FOLDER_VARIABLE)
    for folder in (*([Path(data)] if data else []), cache):
        path = folder / f"{name}.txt"
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            continue
        except OSError as error:
            raise CorpusError(f"cannot read {path}: {error.strerror or error}") from None
        if hashlib.sha256(content).hexdigest() != sha256:
            raise CorpusError(
                f"{path} differs from the published text: delete it, or pass its path to use it anyway"
            )
        return path
    make_folder(cache)
    replace_file(path, _download(name, url, sha256))
    return path


def _download(name: str, url: str, sha256: str) -> bytes:
    # Imported only when needed, because it takes longer than reading a corpus.
    from http.client import HTTPException
    from urllib.request import urlopen

    write_stderr(f"downloading {name} from {url}\n")
    try:
        with urlopen(url, timeout=DOWNLOAD_TIMEOUT_SECONDS) as response:  # noqa: S310 (one of PUBLISHED)
            content: bytes = response.read()
        if hashlib.sha256(content).hexdigest() == sha256:
            return content
        reason = "it is another text"
    except (OSError, HTTPException) as error:
        reason = first_line(error)
    raise CorpusError(
        f"cannot download {name} from {url} ({reason}); without a connection, save the text as {name}.txt in "
        f"a folder and set {DATA_FOLDER_VARIABLE} to that folder"
    )


class CorpusLookup:
    """Finds texts in a corpus.

    Args:
        text: The corpus, normalized as the texts are.
    """

    def __init__(self, text: str) -> None:
        self._text = text

    def has(self, text: str) -> bool:
        """Whether a text occurs anywhere in the corpus. An empty text occurs in every corpus."""
        return text in self._text

    def has_lines(self, lines: str) -> bool:
        """Whether the corpus has this line, or these consecutive lines.

        Args:
            lines: One or more lines, without the last line end.
        """
        return lines in self._lines if "\n" not in lines else f"\n{lines}\n" in self._framed

    @cached_property
    def _framed(self) -> str:
        return f"\n{self._text}\n"

    @cached_property
    def _lines(self) -> frozenset[str]:
        return frozenset(self._text.split("\n"))
