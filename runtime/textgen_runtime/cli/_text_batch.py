"""The texts of ``textgen-run``: drawn in a batch that stays full, and written in order."""

import sys
from collections import deque
from collections.abc import Iterable, Iterator
from time import perf_counter

from textgen_runtime.errors import SamplingError
from textgen_runtime.model import STREAM_CHUNK, Batch, Generation
from textgen_runtime.system.interrupts import DeferredInterrupts

from ._requested_texts import PendingText, Series
from ._text_selection import MAX_REJECTED_IN_A_ROW, Selection
from ._written_texts import TextWriter

# Maximum number of lanes. Larger batches are not faster.
MAX_LANES = 64

# Maximum number of texts that are started and not delivered. Complete texts wait in memory for a longer text
# that comes before them.
MAX_PENDING = 1024


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
        unfinished = self._fill(waiting)
        with DeferredInterrupts() as interrupts:
            try:
                while unfinished:
                    self._advance()
                    self._write()
                    # A long prompt may be fed here. An interrupt need not wait for that.
                    with interrupts.immediate():
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
                if self._is_settled(series) or text.number > series.request.wanted:
                    break
                if text.ending is not None:
                    self._decide(series)
                    continue
                series.pending.remove(text)
                # The number is taken if the user sees it: in the heading above the part that was written, or
                # in the message of the error.
                is_seen = text.is_accepted or text.error is not None
                if self._selection is not None and not is_seen:
                    series.number_pending_texts_lower()
        self._writer.finish()
