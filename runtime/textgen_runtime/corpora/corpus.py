"""Where texts come from: a file, a folder, standard input, or a corpus known by its name."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from textgen_runtime.errors import CorpusError, shorten
from textgen_runtime.model_file.bundled import MODEL_FILE
from textgen_runtime.system.text_files import STANDARD_INPUT, read_text

from .published import EMBEDDED, PUBLISHED, published_file

# What training leaves beside a model; no text to be read.
SAMPLES_FILE = "samples.txt"


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
        return _corpus(source, read_text(str(published_file(source))))
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
        and not (path.name == SAMPLES_FILE and (path.parent / MODEL_FILE).exists())
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )
    if not paths:
        raise CorpusError(f"the folder {folder} holds no .txt files")
    return tuple(paths)


def _joined(files: tuple[Path, ...]) -> str:
    texts = (read_text(str(path)).removeprefix("\ufeff") for path in files)
    # So that one file's last line and the next file's first stay two lines.
    return "".join(text if text.endswith("\n") else text + "\n" for text in texts)
