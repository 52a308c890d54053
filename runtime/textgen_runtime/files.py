"""Files: reading, texts in UTF-8, and atomic replacement.

``pathlib`` is not imported here, because its import takes longer than generating a short text.
"""

import codecs
import contextlib
import os
import stat
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol, TypeAlias

from .errors import EncodingError, OutputError, TextFileError, path_failure, shorten

if TYPE_CHECKING:
    from pathlib import Path

try:
    import fcntl
except ImportError:
    # Windows does not have this module.
    fcntl = None  # type: ignore[assignment]

PathLike: TypeAlias = str | os.PathLike[str]
Kinds: TypeAlias = tuple[type[OSError | ValueError], ...]

# Bytes.
CHUNK_SIZE = 2**20

STANDARD_INPUT = "-"

BYTE_ORDER_MARK = "\ufeff"

# Windows neither removes nor replaces an open file.
CAN_REMOVE_OPEN_FILES = fcntl is not None

# Seconds until the second attempt to replace a file that another program has open, such as a virus scanner.
WAIT = 0.2

# How files begin that are no UTF-8 texts, and what they are. UTF-16 need not have its byte-order mark.
DOCUMENTS = {
    b"PK\3\4": "a compressed document or archive, such as .docx, .odt, .epub or .zip",
    b"%PDF-": "a document in PDF",
    b"{\\rtf": "a document in RTF",
    b"\xff\xfe": "a text in UTF-16",
    b"\xfe\xff": "a text in UTF-16",
}
REMEDY = "open it in the program that made it, or in an editor, and save it as plain text in UTF-8"

# UTF-16 has a zero in each character of ASCII, and Chinese has some line ends or spaces.
MIN_ZEROS = 1 / 256

TEMPORARY_PREFIX, TEMPORARY_SUFFIX = ".textgen-", ".partial"

# How each file begins that may be replaced: as a page, a source in C, a report in JSON, or a saved text, and
# with this name near the start.
OUTPUT_STARTS = (b"<!doctype html>", b"/* ", b"{", b"textgen\0")
OUTPUT_NAME = b"textgen"
MAX_OUTPUT_START = 160


class BinaryReader(Protocol):
    """A file that is open for reading in binary mode."""

    def read(self, size: int = -1, /) -> bytes: ...


class BinaryWriter(Protocol):
    """A file that is open for writing in binary mode."""

    def write(self, data: bytes, /) -> Any: ...


def read_file_object(file: BinaryReader, check_size: Callable[[int], None] = lambda _: None) -> bytes:
    """Read an open file from its current position to its end, and leave it open.

    Args:
        file: The file to read.
        check_size: Called after each chunk with the number of bytes read so far. It may raise an exception if
            the file is too large; the size of a pipe or a device is not known in advance.

    Raises:
        OSError: If the file cannot be read.
        TypeError: If the file is open in text mode.
    """
    content = bytearray()
    while (chunk := file.read(CHUNK_SIZE)) != b"":
        content += chunk
        check_size(len(content))
    return bytes(content)


def file_object_name(file: object) -> str:
    """Return the path of an open file for a message, or "the open file" if it has none."""
    name = getattr(file, "name", None)
    return name if isinstance(name, str) else "the open file"


def read_text(path: str) -> str:
    """Read a UTF-8 text from a file, or from standard input if ``path`` is ``-``.

    Line ends are kept. A byte-order mark at the start is dropped.

    Raises:
        TextFileError: If the text cannot be read, is binary, or is not UTF-8. The message gives the position.
    """
    return decode_utf8(read_bytes(path), "standard input" if path == STANDARD_INPUT else shorten(path))


def read_bytes(path: str) -> bytes:
    """Read a file, or standard input if ``path`` is ``-``.

    Raises:
        TextFileError: If it cannot be read.
    """
    if path == STANDARD_INPUT and sys.stdin is None:
        raise TextFileError("cannot read standard input: it is closed")
    try:
        if path == STANDARD_INPUT:
            return sys.stdin.buffer.read()
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        name = "standard input" if path == STANDARD_INPUT else shorten(path)
        raise TextFileError(f"cannot read {name}: {error.strerror or error}") from None


def decode_utf8(content: bytes, name: str) -> str:
    """Decode UTF-8 text. Arguments and errors are those of ``decode_utf8_chunks``."""
    return "".join(decode_utf8_chunks([content], name))


def decode_utf8_chunks(blocks: Iterable[bytes], name: str) -> Iterator[str]:
    """Decode UTF-8 text that is read in blocks. A block may end within a character.

    Args:
        blocks: The blocks in order.
        name: The name of the text in messages.

    Yields:
        The text of each block, and at last "". A byte-order mark at the start is dropped.

    Raises:
        EncodingError: If the content is binary or not UTF-8. The message says what it is.
    """
    # The number of bytes before the block, and the beginning of a character at the end of the last block.
    position, rest, is_start = 0, b"", True
    for block in chain(blocks, [None]):
        content = rest + (block or b"")
        document = next((kind for start, kind in DOCUMENTS.items() if content.startswith(start)), "")
        if document and not position:
            raise EncodingError(f"{name} is {document}: {REMEDY}")
        if (zero := content.find(0)) >= 0:
            even, odd = content[::2].count(0), content[1::2].count(0)
            is_utf_16 = not (even and odd) and even + odd >= MIN_ZEROS * len(content)
            known = f"a text in UTF-16, without its byte-order mark: {REMEDY}" if is_utf_16 else "not a text"
            raise EncodingError(f"{name} is {known}; byte {position + zero} is zero")
        try:
            text, length = codecs.utf_8_decode(content, "strict", block is None)
        except UnicodeDecodeError as error:
            place = f"byte {position + error.start} is 0x{content[error.start]:02x}"
            raise EncodingError(
                f"{name} is not UTF-8: {place}, as in Latin-1, Windows-1252 or another encoding: {REMEDY}"
            ) from None
        position, rest = position + length, content[length:]
        yield text.removeprefix(BYTE_ORDER_MARK) if is_start else text
        is_start = is_start and not text


def decode_any_chunks(blocks: Iterable[bytes]) -> Iterator[str]:
    """Decode any file that is read in blocks. Bytes that are not UTF-8 become U+DC80 to U+DCFF."""
    decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
    for block in blocks:
        yield decoder.decode(block)
    yield decoder.decode(b"", final=True)


def replace_file(path: PathLike, data: bytes) -> None:
    """Write a file atomically: at any time it has either its old content or its complete new content.

    The data is written to a temporary file in the same folder, flushed to the disk, and renamed. A full disk,
    an interrupt or a power failure therefore leaves the old file unchanged. A killed process leaves its
    temporary file, which ``remove_abandoned`` removes later.

    Symbolic links are followed. A replaced file keeps its permissions. Special files, such as named pipes and
    terminals, are written directly.

    Raises:
        OutputError: If the file cannot be written. An existing file keeps its content.
    """
    with _explained(path):
        if not stat.S_ISREG(_mode(path) or stat.S_IFREG):
            with open(path, "wb") as file:
                file.write(data)
        else:
            with _replacement(path) as new:
                new.write(data)


@contextlib.contextmanager
def replacing_file(path: PathLike) -> Iterator[BinaryIO]:
    """Return a context with a new file, which replaces a regular file atomically as ``replace_file`` does.

    It can also be read. If the context ends with an exception, the new file disappears.

    Raises:
        OutputError: If the file cannot be written. An existing file keeps its content.
    """
    # A ValueError may be that of the caller.
    with _explained(path, (OSError,)), _replacement(path) as file:
        yield file


def check_writable(path: PathLike) -> None:
    """Check that a file can be written, without changing it or leaving a file behind.

    Raises:
        OutputError: If the file cannot be written.
    """
    with _explained(path):
        mode = _mode(path) or stat.S_IFREG
        if stat.S_ISREG(mode):
            with _temporary(os.path.dirname(os.path.realpath(path)), 0o600):
                pass
        elif stat.S_ISDIR(mode):
            raise IsADirectoryError(None, "Is a directory")
        elif not os.access(path, os.W_OK):
            raise PermissionError(None, "Permission denied")


def make_folder(folder: "Path") -> list["Path"]:
    """Create a folder, and the folders around it. An existing folder stays as it is.

    Returns:
        The folders that did not exist, the innermost first.

    Raises:
        OutputError: If it cannot be created.
    """
    try:
        missing = [path for path in (folder, *folder.parents) if not path.exists()]
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        raise OutputError(f"cannot create the folder {shorten(str(folder))}: {path_failure(error)}") from None
    return missing


def existing_folder(folder: "Path") -> "Path":
    """Return a folder if it exists, else the nearest folder above it that exists."""
    return next(path for path in (folder, *folder.absolute().parents) if path.exists())


def is_output(path: PathLike) -> bool:
    """Return whether a command of this project wrote a file, so that a command may replace it.

    It is a page, a source in C, a report in JSON or a saved text, and names the project near its start.
    """
    try:
        with open(path, "rb") as file:
            start = file.read(MAX_OUTPUT_START)
    except OSError:
        return False
    return start.startswith(OUTPUT_STARTS) and OUTPUT_NAME in start


def remove_abandoned(folder: "Path") -> None:
    """Remove the temporary files of killed processes from a folder.

    Files that a running process is writing are locked and are not removed. Without file locks (Windows, some
    network file systems), nothing is removed.
    """
    if fcntl is None:
        return
    for path in folder.glob(f"{TEMPORARY_PREFIX}*{TEMPORARY_SUFFIX}"):
        with contextlib.suppress(OSError), path.open("r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()


def _mode(path: PathLike) -> int | None:
    """Return the kind and the permissions of a file, or None if there is none."""
    try:
        return os.stat(path).st_mode
    except FileNotFoundError:
        return None


@contextlib.contextmanager
def _explained(path: PathLike, kinds: Kinds = (OSError, ValueError)) -> Iterator[None]:
    """Return a context that turns errors of these kinds into ``OutputError``."""
    try:
        yield
    except kinds as error:
        raise OutputError(f"cannot write {shorten(str(path))}: {path_failure(error)}") from error


@contextlib.contextmanager
def _replacement(path: PathLike) -> Iterator[BinaryIO]:
    """Return a context with a new file, which takes the place of another one at the end."""
    target = os.path.realpath(path)
    old_mode = _mode(target)
    # The old file may be private, so the new content stays private until it has the same permissions.
    with _temporary(os.path.dirname(target), 0o666 if old_mode is None else 0o600) as (temporary, file):
        yield file
        file.flush()
        os.fsync(file.fileno())
        if old_mode is not None:
            os.chmod(temporary, stat.S_IMODE(old_mode))
        if not CAN_REMOVE_OPEN_FILES:
            # On other systems it stays open and locked until the rename.
            file.close()
        try:
            os.replace(temporary, target)
        except PermissionError:
            if CAN_REMOVE_OPEN_FILES:
                raise
            time.sleep(WAIT)
            os.replace(temporary, target)


@contextlib.contextmanager
def _temporary(folder: str, mode: int) -> Iterator[tuple[str, BinaryIO]]:
    """Create and lock a file with these permissions, less the umask. Remove it unless it was renamed."""
    while True:
        # The name is unique among processes and threads. It does not include the target's name, which may
        # already have the maximum length.
        path = os.path.join(folder, f"{TEMPORARY_PREFIX}{os.urandom(8).hex()}{TEMPORARY_SUFFIX}")
        file = open(path, "x+b", opener=lambda name, flags: os.open(name, flags, mode))  # noqa: SIM115 (closed below)
        try:
            with file:
                if _lock(file):
                    yield path, file
                    return
        finally:
            with contextlib.suppress(OSError):
                os.unlink(path)


def _lock(file: BinaryIO) -> bool:
    """Lock a new file. Return False if ``remove_abandoned`` has locked or removed it first."""
    if fcntl is None:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        # The file system has no locks.
        return True
    return os.fstat(file.fileno()).st_nlink > 0
