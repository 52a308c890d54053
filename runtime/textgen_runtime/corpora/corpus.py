"""Reading of a corpus from a file, a folder, standard input, or a named source."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from textgen_runtime.errors import CorpusError, shorten
from textgen_runtime.model_file.bundled import MODEL_FILE
from textgen_runtime.system.text_files import STANDARD_INPUT, read_text

from .published import EMBEDDED, PUBLISHED, published_file

# Training writes it beside a model. It is not part of a corpus.
SAMPLES_FILE = "samples.txt"


@dataclass(frozen=True)
class Corpus:
    """A text to train on or to score.

    Attributes:
        name: The name of a named corpus, or the last component of the path.
        text: The text, not yet normalized.
        sha256: Hexadecimal SHA-256 of the text in UTF-8. A model file stores it to identify its corpus.
        files: The files that were read; empty for standard input and named corpora.
    """

    name: str
    text: str
    sha256: str
    files: tuple[Path, ...] = ()


CORPUS_NAMES = (*EMBEDDED, *PUBLISHED)


def read_corpus(source: str) -> Corpus:
    """Read a corpus.

    Args:
        source: One of ``CORPUS_NAMES``, a UTF-8 file, a folder, or ``-`` for standard input. A folder means
            all ``.txt`` files in it and in its sub-folders, in the order of their paths. Hidden files and the
            samples of earlier training runs are excluded. For a file with the name of a named corpus, pass a
            path such as ``./nietzsche``.

    Raises:
        CorpusError: If the corpus is not available or is empty.
        TextFileError: If a file cannot be read or is not UTF-8.
    """
    if source in EMBEDDED:
        return _corpus(source, EMBEDDED[source]())
    if source in PUBLISHED:
        return _corpus(source, read_text(str(published_file(source))))
    if source == STANDARD_INPUT:
        return _corpus("standard input", read_text(source))
    if not source:
        raise CorpusError(
            "the name of the corpus is empty: pass a file, a folder or one of " + ", ".join(CORPUS_NAMES)
        )
    path = Path(source)
    try:
        if path.is_dir():
            files = _text_files_in(path)
            return _corpus(path.resolve().name, _concatenate(files), files)
        path.stat()
    except FileNotFoundError:
        raise CorpusError(
            f"cannot read {shorten(source)}: no such file or folder; the named corpora are "
            f"{', '.join(CORPUS_NAMES)}"
        ) from None
    except OSError as error:
        raise CorpusError(f"cannot read {shorten(source)}: {error.strerror or error}") from None
    return _corpus(path.name, read_text(source), (path,))


def _corpus(name: str, text: str, files: tuple[Path, ...] = ()) -> Corpus:
    if not text.strip():
        raise CorpusError(f"the corpus {name} is empty or has only white space")
    # A file name may be invalid Unicode, which a model file cannot store.
    name = name.encode(errors="replace").decode()
    return Corpus(name, text, hashlib.sha256(text.encode()).hexdigest(), files)


def _text_files_in(folder: Path) -> tuple[Path, ...]:
    paths = sorted(
        path
        for path in folder.rglob("*.txt")
        if path.is_file()
        and not (path.name == SAMPLES_FILE and (path.parent / MODEL_FILE).exists())
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )
    if not paths:
        raise CorpusError(f"the folder {folder} has no .txt files")
    return tuple(paths)


def _concatenate(files: tuple[Path, ...]) -> str:
    texts = (read_text(str(path)).removeprefix("\ufeff") for path in files)
    # Keep the last line of a file and the first line of the next file separate.
    return "".join(text if text.endswith("\n") else text + "\n" for text in texts)
