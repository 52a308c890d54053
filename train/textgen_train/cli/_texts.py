"""The texts of a training run, their dataset, and the progress of reading them."""

from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from textgen_runtime.corpora.corpus import Corpus, read_corpus
from textgen_runtime.system.console import write_stderr
from textgen_runtime.text.tokenizer import BYTE, Tokenizer

from textgen_train.data.dataset import Dataset
from textgen_train.data.dataset_from_corpus import make_dataset
from textgen_train.options import VOCABULARY_SIZE, RunOptions

SECONDS_TO_FIRST_LINE = 2.0
SECONDS_BETWEEN_LINES = 10.0

MEGABYTE = 1e6


@dataclass(frozen=True)
class Texts:
    """The texts of a run.

    Attributes:
        corpus: The corpus.
        held_out: The share of the corpus to hold out, or a separate text; None for the default share.
    """

    corpus: Corpus
    held_out: float | Corpus | None

    @property
    def corpora(self) -> list[Corpus]:
        """All texts that the run reads."""
        return [self.corpus, self.held_out] if isinstance(self.held_out, Corpus) else [self.corpus]

    @property
    def are_equal(self) -> bool:
        """Whether the held-out text is separate, but has the same content as the corpus."""
        return isinstance(self.held_out, Corpus) and self.held_out.sha256 == self.corpus.sha256

    def read(self, options: RunOptions, folder: Path | None, tokenizer: Tokenizer | None = None) -> Dataset:
        """Read the texts, and return their dataset.

        Args:
            options: The options of the run.
            folder: The output folder in the first process of a run, which shows how much it has read; None in
                the other processes.
            tokenizer: The vocabulary of the model from which the run starts; None to make one.

        Raises:
            CorpusError: As ``make_dataset`` states.
            TextFileError: If a text cannot be read, or is not UTF-8.
        """
        progress = ReadingProgress()
        dataset = make_dataset(
            self.corpus,
            options.normalization,
            self.held_out,
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


def open_text(source: str, options: RunOptions, folder: Path) -> Corpus:
    """Return a text of a run, which has not been read yet.

    Args:
        source: Where it is read from.
        options: The options of the run. Any file is a text at the level of bytes.
        folder: Where a large text from a pipe is stored.

    Raises:
        CorpusError: If the text is not available.
    """
    return read_corpus(source, folder, any_bytes=options.level == BYTE, records=options.records)


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
