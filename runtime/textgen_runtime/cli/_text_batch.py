"""The texts of ``textgen-run``: drawn in a batch that stays full, selected, and written in order."""

import sys
from collections import deque
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from time import perf_counter
from typing import TYPE_CHECKING

from textgen_runtime.errors import SamplingError
from textgen_runtime.generation.batch import Batch
from textgen_runtime.generation.generation import STREAM_CHUNK, Generation
from textgen_runtime.generation.model import Model
from textgen_runtime.generation.raw_text import is_raw
from textgen_runtime.system.interrupts import DeferredInterrupts
from textgen_runtime.text.records import RecordKind, split_records
from textgen_runtime.text.tokenizer import WORD

from ._requested_texts import PendingText, Series
from ._written_texts import TextWriter

if TYPE_CHECKING:
    from textgen_runtime.corpora.corpus import CorpusLookup

# Maximum number of lanes. Larger batches are not faster.
MAX_LANES = 64

# Maximum number of texts that are started and not delivered. Complete texts wait in memory for a longer text
# that comes before them.
MAX_PENDING = 1024

# After this number of rejected texts in a row, a new one is so rare that the command gives up.
MAX_REJECTED_IN_A_ROW = 1000

# Bytes. With fewer than 2**40 texts, two of them practically never have the same fingerprint.
FINGERPRINT_SIZE = 16


def make_selection(model: Model, *, unique: bool, max_copy: int = 0) -> "Selection | None":
    """Return a selection of texts, or None if all are accepted.

    Args:
        model: The model that generates them. No text that stands in its corpus ``novel`` is accepted.
        unique: Whether a text is accepted only once.
        max_copy: That of the sampling.
    """
    if model.novel is None:
        return Selection(unique=True, corpus=None) if unique else None
    # With --raw, texts keep the bytes that are not UTF-8.
    novel = model.novel if is_raw(model) else _as_generated(model.novel)
    if model.metadata.records is not None:
        corpus = frozenset(split_records(novel, model.metadata.records))
        return Selection(unique=unique, corpus=corpus)
    # Imported on use: most runs need no corpus.
    from textgen_runtime.corpora.corpus import CorpusLookup

    # The tokens of a word can differ from those that the corpus has for it.
    short = 0 if model.tokenizer.level == WORD else max_copy
    return Selection(unique=unique, corpus=CorpusLookup(novel), max_copy=short)


def with_novel(model: Model, source: str | None, *, lowercase: bool = False) -> Model:
    """Return the model with the corpus of ``--novel``, if there is one.

    Raises:
        CorpusError: If the corpus is missing or empty, or is not available.
        TextFileError: If it cannot be read, or is not UTF-8.
    """
    if source is None:
        return model
    # Imported on use: most runs need no corpus.
    from textgen_runtime.corpora.corpus import corpus_for

    text = corpus_for(model.metadata, source).text
    return model.with_novel(text.lower() if lowercase else text)


def corpus_records(text: str, records: RecordKind) -> frozenset[str]:
    """Return the records of a corpus, which is normalized."""
    return frozenset(split_records(_as_generated(text), records))


def _as_generated(text: str) -> str:
    """Return a text in which a byte that is not UTF-8 is the replacement character, as in a generated one."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


class Selection:
    """Accepts texts that were not accepted before, or that do not stand in a corpus, or both.

    Args:
        unique: Whether a text is accepted only once.
        corpus: The corpus in which no accepted text stands, or the records that no accepted text equals; or
            None.
        max_copy: A number of characters: no longer part of a text stands in the corpus. 0 if it is not known.

    Attributes:
        drawn: The number of texts that were accepted or rejected.
        repeated: The number of texts that were rejected because they were accepted before.
        known: The number of texts that were rejected because they stand in the corpus.
    """

    def __init__(
        self, *, unique: bool, corpus: "CorpusLookup | AbstractSet[str] | None", max_copy: int = 0
    ) -> None:
        self._accepted: set[bytes] | None = set() if unique else None
        self._max_copy = max_copy
        self._corpus = corpus
        self.drawn = self.repeated = self.known = 0

    def accepts_beginning(self, text: PendingText) -> bool:
        """Whether a text is accepted whatever follows, so that it can be written while it is drawn."""
        if self._accepted is None and 0 < self._max_copy < len(text.text):
            text.is_accepted = True
        return text.is_accepted

    def accepts(self, text: PendingText) -> bool:
        """Whether a complete text is accepted."""
        self.drawn += 1
        if self.accepts_beginning(text):
            return True
        if self._corpus is not None and self._stands_in(self._corpus, text):
            self.known += 1
            return False
        if self._accepted is not None:
            fingerprint = self._fingerprint(text)
            if fingerprint in self._accepted:
                self.repeated += 1
                return False
            self._accepted.add(fingerprint)
        return True

    @staticmethod
    def _stands_in(corpus: "CorpusLookup | AbstractSet[str]", text: PendingText) -> bool:
        """Whether the corpus has the text.

        A text that is a complete line, as with ``--until-newline``, stands in the corpus if the corpus has
        this line. The part of the prompt after its last line end belongs to the line. Any other text stands
        in the corpus if it occurs anywhere in it.
        """
        content = text.text
        if isinstance(corpus, AbstractSet):
            return text.generation.prompt + content in corpus
        # After a stop text such as ".\n", the line in the corpus has more than the text.
        end_at_lines = all(set(stop) == {"\n"} for stop in text.series.sampling.stop)
        are_lines = text.series.are_lines and end_at_lines
        if text.ending == "length" or not (are_lines or content.endswith("\n")):
            return corpus.has(content)
        _, _, beginning = text.generation.prompt.rpartition("\n")
        return corpus.has_lines(beginning + content.removesuffix("\n"))

    @staticmethod
    def _fingerprint(text: PendingText) -> bytes:
        # Imported on use: the import takes milliseconds, and most runs do not need it.
        from hashlib import blake2b

        output = text.echo + text.text
        return blake2b(output.encode("utf-8", "surrogatepass"), digest_size=FINGERPRINT_SIZE).digest()

    def describe(self, found: int) -> str:
        """Return how many texts were found among the drawn ones, and why the others were rejected."""
        reasons = [f"{self.repeated:,} repeat another text"] if self._accepted is not None else []
        reasons += [f"{self.known:,} stand in the corpus"] if self._corpus is not None else []
        return f"{found:,} of {self.drawn:,} drawn; {', '.join(reasons)}"

    def shortfall(self, found: int, wanted: int) -> str:
        """Return the message for fewer texts than wanted."""
        reasons = ["repeat another text"] if self._accepted is not None else []
        reasons += ["stand in the corpus"] if self._corpus is not None else []
        return (
            f"found only {found:,} of {wanted:,} texts among {self.drawn:,} drawn, and gave up after "
            f"{MAX_REJECTED_IN_A_ROW:,} in a row that {' or '.join(reasons)}: use a higher --temp, a greater "
            "--length, another prompt or a smaller --count"
        )


class TextBatch:
    """Draws the texts of several series, and writes them as if they were drawn one after another.

    Each lane draws one text. When it ends, the next text takes its place. The order of the texts, and which
    of them are accepted, do not depend on the number of lanes or of threads.

    Args:
        batch: An empty batch.
        writer: Writes the accepted texts.
        selection: Accepts or rejects complete texts. A series ends early after ``MAX_REJECTED_IN_A_ROW``
            rejected texts in a row. None accepts all texts.

    Attributes:
        seconds: How long it took to draw the texts, without the prompts and the output.
    """

    def __init__(self, batch: Batch, writer: TextWriter, selection: Selection | None) -> None:
        self._batch = batch
        self._writer = writer
        self._selection = selection
        self.seconds = 0.0
        self._running: dict[Generation, PendingText] = {}
        # Series with pending texts. Only the first has texts that were decided.
        self._series: deque[Series] = deque()

    def run(self, series: Iterable[Series], *, is_last: bool) -> None:
        """Draw and write the texts of all series, in their order.

        Args:
            series: The series.
            is_last: Whether no texts are written afterwards.

        Raises:
            KeyboardInterrupt: After an interrupt.
            SamplingError: If a text cannot continue, after the texts before it were written.

        After each of these errors, all complete texts have been written.
        """
        waiting = iter(series)
        # A long prompt is fed here. An interrupt need not wait for that.
        unfinished = self._fill(waiting)
        with DeferredInterrupts() as interrupts:
            try:
                while unfinished:
                    self._advance()
                    self._write()
                    interrupts.check()
                    unfinished = self._fill(waiting)
                if is_last:
                    self._writer.finish()
            except (KeyboardInterrupt, SamplingError):
                self._write_all_complete()
                raise
            finally:
                # After this block an interrupt ends the process at once, without a flush.
                sys.stdout.flush()

    def _fill(self, waiting: Iterator[Series]) -> bool:
        """Start texts in the free lanes. Return whether any text is left to draw."""
        pending = sum(len(series.pending) for series in self._series)
        if self._series:
            first, last = self._series[0], self._series[-1]
            # The first series may always go on, however many texts of later ones wait for it.
            pending += self._start_texts(first, MAX_PENDING - len(first.pending))
            pending += self._start_texts(last, MAX_PENDING - pending)
        while len(self._batch) < MAX_LANES and pending < MAX_PENDING:
            following = next(waiting, None)
            if following is None:
                break
            self._series.append(following)
            pending += self._start_texts(following, MAX_PENDING - pending)
        return bool(self._series)

    def _start_texts(self, series: Series, maximum: int) -> int:
        """Start texts of a series, as many as it needs and as there are free lanes. Return their number."""
        count = max(0, min(series.to_start, maximum, MAX_LANES - len(self._batch)))
        for _ in range(count):
            text = series.start_text()
            self._batch.add(text.generation, series.request.length)
            self._running[text.generation] = text
        return count

    def _advance(self) -> None:
        """Continue all lanes by one chunk."""
        steps = self._batch.model.engine.chunk_length(len(self._batch))
        if len(self._batch) == 1:
            steps = min(STREAM_CHUNK, steps)
        start = perf_counter()
        chunks = self._batch.advance(steps)
        self.seconds += perf_counter() - start
        for chunk in chunks:
            text = self._running[chunk.generation]
            text.add(chunk)
            if not text.is_running:
                del self._running[chunk.generation]

    def _write(self) -> None:
        """Write the complete texts up to the first one that is not complete, and as much of that one.

        Raises:
            SamplingError: If that one cannot continue.
        """
        while self._series:
            series = self._series[0]
            while series.pending and not self._is_settled(series):
                if series.pending[0].ending is None:
                    self._write_part(series.pending[0])
                    series.pending[0].check()
                    return
                self._decide(series)
            if not self._is_settled(series):
                return
            self._drop(series)
            self._series.popleft()

    def _write_part(self, text: PendingText) -> None:
        """Write what there is of a text, if it is accepted."""
        if self._writer.form.in_parts and (
            self._selection is None or self._selection.accepts_beginning(text)
        ):
            self._writer.write_part(text)

    def _decide(self, series: Series) -> None:
        """Accept or reject the first pending text of a series."""
        accept = self._selection is None or self._selection.accepts(series.pending[0])
        text = series.decide(accept)
        if accept:
            self._writer.write_rest(text)

    @staticmethod
    def _is_settled(series: Series) -> bool:
        return not series.missing or series.rejected_in_a_row >= MAX_REJECTED_IN_A_ROW

    def _drop(self, series: Series) -> None:
        """Remove the texts that are not needed."""
        for text in series.pending:
            if text.is_running:
                self._batch.remove(text.generation)
                del self._running[text.generation]
        series.pending.clear()

    def _write_all_complete(self) -> None:
        """Write all complete texts, also those after one that is not complete."""
        self._writer.break_off()
        for series in self._series:
            for text in list(series.pending):
                if text.ending is None:
                    series.pending.remove(text)
                    if self._selection is not None:
                        series.number_pending_texts_lower()
                elif not self._is_settled(series):
                    self._decide(series)
        self._writer.finish()
