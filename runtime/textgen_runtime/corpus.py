"""Where texts come from: a file, a folder, standard input, or a corpus known by its name."""

import hashlib
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .console import tell
from .errors import CorpusError, first_line, shorten
from .interrupts import HeldInterrupts
from .shipped import FILE_IN_FOLDER
from .text_file import STANDARD_INPUT, read_text

# What training leaves beside a model; no text to be read.
SAMPLES_FILE = "samples.txt"

DATA_FOLDER_VARIABLE = "TEXTGEN_DATA_DIR"
DOWNLOAD_TIMEOUT_SECONDS = 30


@dataclass(frozen=True)
class Corpus:
    """A text to learn from or to score, as it was found.

    Attributes:
        name: What to call it: a corpus's name, or the last part of a path.
        text: Its characters, not yet normalised.
        sha256: Of its UTF-8 bytes, in hexadecimal: says later which text a model was trained on.
        files: The user's files that it was read from; none for standard input and known corpora.
    """

    name: str
    text: str
    sha256: str
    files: tuple[Path, ...] = ()


@dataclass(frozen=True)
class PublishedCorpus:
    """A corpus that is downloaded once and kept."""

    url: str
    sha256: str


PUBLISHED = {
    "nietzsche": PublishedCorpus(
        "https://s3.amazonaws.com/text-datasets/nietzsche.txt",
        "23cf69874ab69d3d256099ab530ea4be24d47d9675b673bcc67cbcd6298ec647",
    ),
    "tinyshakespeare": PublishedCorpus(
        "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",
        "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
    ),
}


# A line of a table drawn with + - = | characters.
TABLE_LINE = re.compile(r"^ *(\|.*\||\+[-=+ ]*\+)\n", re.MULTILINE)


def python_docs() -> str:
    """Python's own language reference, which ships with CPython: about 430,000 characters.

    Its drawn tables are left out: at a low temperature a model that has seen their rulers and blank cells
    draws little else.
    """
    # Only here, because it is half a megabyte that nothing else needs.
    from pydoc_data.topics import topics

    return TABLE_LINE.sub("", "\n".join(topics[topic] for topic in sorted(topics)))


EMBEDDED: dict[str, Callable[[], str]] = {"python-docs": python_docs}

NAMES = (*EMBEDDED, *PUBLISHED)


def read_corpus(source: str) -> Corpus:
    """Read a corpus.

    Args:
        source: One of ``NAMES``, a UTF-8 file, a folder (all its ``.txt`` files in the order of their
            paths, sub-folders included, but nothing hidden and no samples of an earlier run), or ``-`` for
            standard input. A file that is called like a corpus is reached by a path such as
            ``./nietzsche``.

    Raises:
        CorpusError: If it cannot be had, or is empty.
        TextFileError: If it cannot be read, or is not UTF-8.
    """
    if source in EMBEDDED:
        return _corpus(source, EMBEDDED[source]())
    if source in PUBLISHED:
        return _corpus(source, read_text(str(_published(source))))
    if source == STANDARD_INPUT:
        return _corpus("standard input", read_text(source))
    if not source:
        raise CorpusError("the corpus has no name: give a file, a folder or one of " + ", ".join(NAMES))
    path = Path(source)
    try:
        if path.is_dir():
            files = _texts_in(path)
            return _corpus(path.resolve().name, _joined(files), files)
        path.stat()
    except FileNotFoundError:
        raise CorpusError(
            f"there is no file or folder {shorten(source)}; corpora known by name are {', '.join(NAMES)}"
        ) from None
    except OSError as error:
        raise CorpusError(f"cannot read {shorten(source)}: {error.strerror or error}") from None
    return _corpus(path.name, read_text(source), (path,))


def _corpus(name: str, text: str, files: tuple[Path, ...] = ()) -> Corpus:
    if not text.strip():
        raise CorpusError(f"the corpus {name} is empty")
    # A file's name need not be Unicode, and goes into the model file.
    name = name.encode(errors="replace").decode()
    return Corpus(name, text, hashlib.sha256(text.encode()).hexdigest(), files)


def _texts_in(folder: Path) -> tuple[Path, ...]:
    # What an earlier run wrote is no corpus, and what is hidden is not meant.
    paths = sorted(
        path
        for path in folder.rglob("*.txt")
        if path.is_file()
        and not (path.name == SAMPLES_FILE and (path.parent / FILE_IN_FOLDER).exists())
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )
    if not paths:
        raise CorpusError(f"the folder {folder} holds no .txt files")
    return tuple(paths)


def _joined(files: tuple[Path, ...]) -> str:
    texts = (read_text(str(path)).removeprefix("\ufeff") for path in files)
    # So that one file's last line and the next file's first stay two lines.
    return "".join(text if text.endswith("\n") else text + "\n" for text in texts)


def _published(name: str) -> Path:
    corpus = PUBLISHED[name]
    if folder := os.environ.get(DATA_FOLDER_VARIABLE):
        path = Path(folder) / f"{name}.txt"
        if _is_there(path):
            _verify(path, corpus.sha256)
            return path
    return _download(name, corpus)


def _is_there(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError as error:
        raise CorpusError(f"cannot read {path}: {error.strerror or error}") from None


def _verify(path: Path, expected: str) -> None:
    try:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise CorpusError(f"cannot read {path}: {error.strerror or error}") from None
    if found != expected:
        raise CorpusError(
            f"{path} is another text than the published one (SHA-256 {found[:12]}..., not "
            f"{expected[:12]}...); to read it as it is, give its path"
        )


def _download(name: str, corpus: PublishedCorpus) -> Path:
    # Only here: an HTTP client is what the other sources do not need, and comes with the extra. It is
    # imported before pooch does it within the download, where an interrupt is raised.
    try:
        import pooch
        import requests  # noqa: F401
    except ImportError:
        raise CorpusError(
            f'downloading {name} needs pooch: pip install "textgen-onnx[train]", or put it as {name}.txt '
            f"into a folder and set {DATA_FOLDER_VARIABLE} to that folder"
        ) from None

    pooch.get_logger().setLevel("WARNING")
    folder = pooch.os_cache("textgen")
    if not _is_there(Path(folder) / f"{name}.txt"):
        tell(f"downloading {name} from {corpus.url}\n")
    try:
        # pooch removes its temporary file.
        with HeldInterrupts() as interrupts, interrupts.raised():
            fetched = pooch.retrieve(
                corpus.url,
                known_hash=f"sha256:{corpus.sha256}",
                fname=f"{name}.txt",
                path=folder,
                downloader=pooch.HTTPDownloader(timeout=DOWNLOAD_TIMEOUT_SECONDS),
            )
    # What the HTTP client raises is an OSError; a wrong checksum is a ValueError.
    except (OSError, ValueError) as error:
        raise CorpusError(
            f"cannot download {name} from {corpus.url} ({first_line(error)}); without a connection, put it "
            f"as {name}.txt into a folder and set {DATA_FOLDER_VARIABLE} to that folder"
        ) from None
    return Path(fetched)
