"""The texts of a training run, their dataset, and the progress of reading them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

from textgen_runtime.corpus import Corpus, read_corpus
from textgen_runtime.terminal import write_stderr
from textgen_runtime.tokenizer import BYTE, Tokenizer

from textgen_train.data.dataset import Dataset
from textgen_train.data.dataset_from_corpus import make_dataset
from textgen_train.errors import CorpusError, extended
from textgen_train.options import VOCABULARY_SIZE, RunOptions

SECONDS_TO_FIRST_LINE = 2.0
SECONDS_BETWEEN_LINES = 10.0

MEGABYTE = 1e6


@dataclass(frozen=True)
class Texts:
    """The texts of a run: its corpus, and its held-out text unless that is a part of the corpus."""

    corpus: Corpus
    held_out: Corpus | None

    @property
    def all(self) -> list[Corpus]:
        """All texts that the run reads."""
        return [self.corpus] if self.held_out is None else [self.corpus, self.held_out]

    @property
    def files(self) -> list[Path]:
        """The files of all texts."""
        return [path for text in self.all for path in text.files]

    def read(self, options: RunOptions, folder: Path | None, tokenizer: Tokenizer | None = None) -> Dataset:
        """Read the texts, and return their dataset. The errors are those of ``make_dataset``.

        Args:
            folder: The output folder in the first process of a run, which shows how much it has read; None in
                the other processes.
        """
        progress = ReadingProgress()
        dataset = make_dataset(
            self.corpus,
            options.normalization,
            options.held_out if self.held_out is None else self.held_out,
            options.min_count,
            level=options.level,
            vocabulary_size=options.vocabulary_size or VOCABULARY_SIZE,
            tokenizer=tokenizer,
            extend=options.extend,
            records=options.records,
            folder=folder,
            on_read=progress.add if folder else None,
        )
        if folder:
            progress.finish()
        return dataset


def open_texts(options: RunOptions, hint: Callable[[str], str] = lambda _: "") -> Texts:
    """Return the texts of a run, which have not been read yet.

    Args:
        hint: Returns what to do if the text of an option is not available. The error ends with it.
    """

    def find(name: str, source: str) -> Corpus:
        try:
            return read_corpus(source, any_bytes=options.level == BYTE, records=options.records)
        except CorpusError as error:
            raise extended(error, hint(name)) from error

    corpus, held_out = find("corpus", options.corpus), options.held_out_file
    return Texts(corpus, None if held_out is None else find("held_out_file", held_out))


def trained_share(training: Mapping[str, Any], texts: Texts, dataset: Dataset) -> float:
    """Return the share of the held-out text that a model was trained on, in [0, 1].

    The share is 0 if the model file does not state that it was trained on this text.

    Args:
        training: The metadata ``textgen.training`` of the model.
        texts: The texts of the run.
        dataset: Their dataset, whose normalization is that of the model.
    """
    split = training.get("split")
    text = texts.corpus if texts.held_out is None else texts.held_out
    if training.get("sha256") != text.sha256 or not isinstance(split, dict):
        return 0.0
    # The model holds out the same end of the corpus, or the same records, except if its held-out text is
    # separate.
    unseen = 0 if isinstance(split.get("held_out"), dict) else split.get("held_out_characters")
    if not isinstance(unseen, int):
        return 0.0
    return max(0.0, 1.0 - unseen / dataset.held_out_characters)


class ReadingProgress:
    """Shows how much of a corpus has been read, in all readings.

    A corpus that takes less than two seconds shows nothing.
    """

    def __init__(self) -> None:
        self._started = perf_counter()
        self._next_line = SECONDS_TO_FIRST_LINE
        self._bytes = 0

    def add(self, count: int) -> None:
        """Count the bytes of a chunk that was read."""
        self._bytes += count
        seconds = perf_counter() - self._started
        if seconds >= self._next_line:
            self._next_line = seconds + SECONDS_BETWEEN_LINES
            write_stderr(f"reading the corpus: {self._describe(seconds)} so far\n")

    def finish(self) -> None:
        """Show the total."""
        seconds = perf_counter() - self._started
        if seconds >= SECONDS_TO_FIRST_LINE:
            write_stderr(f"read the corpus: {self._describe(seconds)}\n")

    def _describe(self, seconds: float) -> str:
        megabytes = self._bytes / MEGABYTE
        return f"{megabytes:,.0f} MB in {seconds:.1f} s ({megabytes / seconds:,.0f} MB/s)"
