"""Reading of a corpus from a file, a folder, standard input, or a named source; texts that stand in it."""

import hashlib
import zlib
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self

from textgen_runtime.errors import CorpusError, nearest_name, path_failure, shorten
from textgen_runtime.files import (
    BYTE_ORDER_MARK,
    STANDARD_INPUT,
    decode_any_chunks,
    decode_utf8_chunks,
)
from textgen_runtime.text import SEPARATORS, RecordKind
from textgen_runtime.tokenizer import BYTE

from .published import EMBEDDED, PUBLISHED, published_file
from .sources import StandardInput, file_blocks, find_files
from .substrings import SubstringIndex

if TYPE_CHECKING:
    from textgen_runtime.model_file import Metadata


class _Content(NamedTuple):
    """What is known of a text after it was read: its size in characters, its CRC-32 and its SHA-256."""

    characters: int
    checksum: int
    sha256: str


class Corpus:
    """A text to train on or to score. It is read in chunks, and can be read more than once.

    Args:
        name: The name of a named corpus, or the last component of the path.
        read: Returns the text in chunks, not yet normalized. It is called each time the corpus is read.
        files: The files that are read; empty for standard input and named corpora.
        records: The kind of records at whose borders the files are joined; None for continuous text.
        skipped: The number of other files of a folder, without hidden ones and those of training runs; None
            if the corpus is no folder.

    Attributes:
        name: The name of the corpus.
        files: The files that are read.
        records: The kind of records.
        skipped: The number of other files of a folder, or None.
    """

    def __init__(
        self,
        name: str,
        read: Callable[[], Iterable[str]],
        files: tuple[Path, ...] = (),
        records: RecordKind | None = None,
        skipped: int | None = None,
    ) -> None:
        # A file name may be invalid Unicode, which a model file cannot store.
        self.name = name.encode(errors="replace").decode()
        self.files, self.records, self.skipped = files, records, skipped
        self._read = read
        self._content: _Content | None = None

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
        before = self._content
        characters, checksum, is_blank = 0, 0, True
        digest = None if before else hashlib.sha256()
        for chunk in self._read():
            content = chunk.encode("utf-8", "surrogateescape")
            characters, checksum = characters + len(chunk), zlib.crc32(content, checksum)
            is_blank = is_blank and (not chunk or chunk.isspace())
            if digest:
                digest.update(content)
            if on_read:
                on_read(len(content))
            yield chunk
        if is_blank:
            raise CorpusError(f"the corpus {self.name} is empty or has only white space: pass a text")
        if digest:
            self._content = _Content(characters, checksum, digest.hexdigest())
        elif before and (characters, checksum) != before[:2]:
            raise CorpusError(
                f"the corpus {self.name} has changed while it was read: start again when it stays the same"
            )

    @property
    def text(self) -> str:
        """The entire text, not yet normalized. The errors are those of ``chunks``."""
        return "".join(self.chunks())

    @property
    def characters(self) -> int:
        """Number of characters, not yet normalized. The errors are those of ``chunks``."""
        return self._known_content().characters

    @property
    def sha256(self) -> str:
        """Hexadecimal SHA-256 of the text in UTF-8. A model file stores it to identify its corpus.

        The errors are those of ``chunks``.
        """
        return self._known_content().sha256

    def _known_content(self) -> _Content:
        while self._content is None:
            for _ in self.chunks():
                pass
        return self._content


CORPUS_NAMES = (*EMBEDDED, *PUBLISHED)


def read_corpus(
    source: str,
    temporary_folder: Path | None = None,
    *,
    any_bytes: bool = False,
    records: RecordKind | None = None,
) -> Corpus:
    """Find a corpus. Its text is read when it is used.

    Args:
        source: One of ``CORPUS_NAMES``, a UTF-8 file, a folder, or ``-`` for standard input. A file ending in
            ``.gz`` or ``.zst`` is decompressed. A folder means all ``.txt`` and ``.abc`` files in it and
            in its sub-folders, in the order of their paths. They may be compressed, such as ``.txt.gz``.
            Hidden files and the files of earlier training runs are excluded. For a file with the name of a
            named corpus, pass a path such as ``./nietzsche``.
        temporary_folder: Where a large text from a pipe is stored; None for the system's folder of temporary
            files.
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
        path = published_file(source)
        return Corpus(source, lambda: _read_file(path, any_bytes))
    if source == STANDARD_INPUT:
        standard_input, name = StandardInput(temporary_folder), "standard input"
        return Corpus(name, lambda: _decode(standard_input.blocks(), name, any_bytes))
    if not source:
        raise CorpusError(
            "the name of the corpus is empty: pass a file, a folder or one of " + ", ".join(CORPUS_NAMES)
        )
    path = Path(source)
    try:
        if path.is_dir():
            files, skipped = find_files(path, any_bytes=any_bytes)
            name = path.resolve().name
            return Corpus(name, lambda: _read_files(files, any_bytes, records), files, records, skipped)
        path.stat()
    except FileNotFoundError:
        nearest = nearest_name(source.lower(), CORPUS_NAMES)
        hint = f"did you mean {nearest}?" if nearest else f"the named corpora are {', '.join(CORPUS_NAMES)}"
        raise CorpusError(f"cannot read {shorten(source)}: no such file or folder; {hint}") from None
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


def _decode(blocks: Iterable[bytes], name: str, any_bytes: bool) -> Iterator[str]:
    return decode_any_chunks(blocks) if any_bytes else decode_utf8_chunks(blocks, name)


def _read_file(path: Path, any_bytes: bool) -> Iterator[str]:
    return _decode(file_blocks(path), shorten(str(path)), any_bytes)


def _read_files(files: tuple[Path, ...], any_bytes: bool, records: RecordKind | None) -> Iterator[str]:
    """Yield the texts of files as one text."""
    if any_bytes and records is None:
        # A character may begin in one file and end in the next one.
        yield from decode_any_chunks(block for path in files for block in file_blocks(path))
        return
    # The line ends after a file, so that its last line or record is separate from the next file.
    separator = "\n" if records is None else SEPARATORS[records]
    for path in files:
        is_start, end = True, ""
        for chunk in _read_file(path, any_bytes):
            yield chunk.removeprefix(BYTE_ORDER_MARK) if is_start and not any_bytes else chunk
            is_start, end = is_start and not chunk, (end + chunk)[-len(separator) :]
        present = len(end) - len(end.rstrip("\n"))
        yield separator[present:]


class CorpusLookup:
    """Finds texts in a corpus. It is prepared at the first text; then each text takes about a microsecond.

    Args:
        text: The corpus, normalized as the texts are.
    """

    def __init__(self, text: str) -> None:
        self._text = text

    def has(self, text: str) -> bool:
        """Whether a text occurs anywhere in the corpus. An empty text occurs in every corpus."""
        return _utf8(text) in self._index

    def has_lines(self, lines: str) -> bool:
        """Whether the corpus has this line, or these consecutive lines.

        Args:
            lines: One or more lines, without the last line end.
        """
        if "\n" not in lines:
            return lines in self._lines
        return (
            _utf8(f"\n{lines}\n") in self._index
            or self._text.startswith(f"{lines}\n")
            or self._text.endswith(f"\n{lines}")
            or self._text == lines
        )

    @cached_property
    def _index(self) -> SubstringIndex:
        return SubstringIndex(_utf8(self._text))

    @cached_property
    def _lines(self) -> frozenset[str]:
        return frozenset(self._text.split("\n"))


def _utf8(text: str) -> bytes:
    # A vocabulary may have half of a surrogate pair, which no corpus has.
    return text.encode("utf-8", "surrogatepass")
