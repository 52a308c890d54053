"""Corpora with a name: downloaded once and kept, or part of Python."""

import hashlib
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from textgen_runtime.errors import CorpusError, first_line
from textgen_runtime.system.console import write_stderr
from textgen_runtime.system.interrupts import DeferredInterrupts

DATA_FOLDER_VARIABLE = "TEXTGEN_DATA_DIR"
DOWNLOAD_TIMEOUT_SECONDS = 30


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


def published_file(name: str) -> Path:
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
        write_stderr(f"downloading {name} from {corpus.url}\n")
    try:
        # pooch removes its temporary file.
        with DeferredInterrupts() as interrupts, interrupts.raised():
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
