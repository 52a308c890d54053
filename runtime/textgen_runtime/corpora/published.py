"""Named corpora: texts that are downloaded once and cached, and the language reference of Python."""

import hashlib
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from textgen_runtime.errors import CorpusError, first_line, install_command
from textgen_runtime.interrupts import DeferredInterrupts
from textgen_runtime.terminal import write_stderr

DATA_FOLDER_VARIABLE = "TEXTGEN_DATA_DIR"
DOWNLOAD_TIMEOUT_SECONDS = 30


@dataclass(frozen=True)
class PublishedCorpus:
    """A corpus that is downloaded once, verified and cached."""

    url: str
    sha256: str


PUBLISHED = {
    "names": PublishedCorpus(
        "https://raw.githubusercontent.com/karpathy/makemore/master/names.txt",
        "0a30b5557f192f32ab962680889aac5f6fda0f4cecf40a6d0b5694f58ea8cc4d",
    ),
    "nietzsche": PublishedCorpus(
        "https://s3.amazonaws.com/text-datasets/nietzsche.txt",
        "23cf69874ab69d3d256099ab530ea4be24d47d9675b673bcc67cbcd6298ec647",
    ),
    "tinyshakespeare": PublishedCorpus(
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


def published_file(name: str) -> Path:
    """Return the path of a published corpus: in the data folder if it is there, else in the cache.

    A corpus that is in neither place is downloaded to the cache.

    Raises:
        CorpusError: If the corpus cannot be downloaded or verified.
    """
    corpus = PUBLISHED[name]
    if folder := os.environ.get(DATA_FOLDER_VARIABLE):
        path = Path(folder) / f"{name}.txt"
        if _file_exists(path):
            _verify(path, corpus.sha256)
            return path
    return _download(name, corpus)


def _file_exists(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError as error:
        raise CorpusError(f"cannot read {path}: {error.strerror or error}") from None


def _verify(path: Path, expected: str) -> None:
    try:
        actual = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise CorpusError(f"cannot read {path}: {error.strerror or error}") from None
    if actual != expected:
        raise CorpusError(
            f"{path} differs from the published text (SHA-256 {actual[:12]}..., not {expected[:12]}...); "
            "delete it to download the text again, or pass its path to use it anyway"
        )


def _download(name: str, corpus: PublishedCorpus) -> Path:
    # Only downloads need an HTTP client, which the train extra installs. requests is imported here, before
    # pooch imports it during the download, because there an interrupt could be raised inside the import.
    try:
        import pooch
        import requests
    except ImportError:
        raise CorpusError(
            f"downloading {name} requires pooch: {install_command('train')}; or save the text as {name}.txt "
            f"in a folder and set {DATA_FOLDER_VARIABLE} to that folder"
        ) from None

    pooch.get_logger().setLevel("WARNING")
    folder = pooch.os_cache("textgen")
    if not _file_exists(Path(folder) / f"{name}.txt"):
        write_stderr(f"downloading {name} from {corpus.url}\n")
    try:
        # pooch removes its temporary file after an interrupt.
        with DeferredInterrupts() as interrupts, interrupts.immediate():
            path = pooch.retrieve(
                corpus.url,
                known_hash=f"sha256:{corpus.sha256}",
                fname=f"{name}.txt",
                path=folder,
                downloader=pooch.HTTPDownloader(timeout=DOWNLOAD_TIMEOUT_SECONDS),
            )
    # The HTTP client raises OSError, and a wrong checksum raises ValueError.
    except (OSError, ValueError) as error:
        # The messages of connections contain Python objects.
        kinds = {
            requests.exceptions.SSLError: "the certificate of the server is not trusted",
            requests.exceptions.ProxyError: "no connection to the proxy",
            requests.ConnectionError: "no connection",
        }
        reason = next((kinds[kind] for kind in kinds if isinstance(error, kind)), first_line(error))
        raise CorpusError(
            f"cannot download {name} from {corpus.url} ({reason}); without a connection, save the text as "
            f"{name}.txt in a folder and set {DATA_FOLDER_VARIABLE} to that folder"
        ) from None
    return Path(path)
