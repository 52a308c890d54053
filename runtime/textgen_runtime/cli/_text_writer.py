"""Writing of generated texts to standard output while they are generated."""

import sys
from collections.abc import Sequence
from time import perf_counter

from textgen_runtime.generation.batch import Batch
from textgen_runtime.generation.generation import STREAM_CHUNK, Generation
from textgen_runtime.system.console import terminal_safe
from textgen_runtime.system.interrupts import DeferredInterrupts

# Minimum time between flushes while a text is generated. It looks continuous and costs no measurable time.
FLUSH_SECONDS = 0.02


class TextWriter:
    """Writes the texts of batches to standard output; the first of each batch appears as it is generated.

    On a terminal, control characters are written as escapes.

    Attributes:
        first_text: The time of the first chunk, by ``perf_counter``; None before that.
    """

    def __init__(self) -> None:
        self.first_text: float | None = None
        self._flushed = 0.0
        self._at_line_start = True

    def write_texts(self, batch: Batch, titles: Sequence[str], openings: Sequence[str]) -> None:
        """Generate and write the texts of a batch. The first is streamed, the others are written at the end.

        Args:
            batch: The texts as lanes, all of one length.
            titles: The heading of each text.
            openings: The beginning of each text, such as its prompt.

        Raises:
            KeyboardInterrupt: After an interrupt. The generated part of the first text is written with a line
                end. The other texts are discarded.
        """
        first, *others = batch
        chunk = batch.model.engine.chunk_length(len(batch))
        if not others:
            chunk = min(STREAM_CHUNK, chunk)
        buffers: dict[Generation, list[str]] = {generation: [] for generation in others}
        with DeferredInterrupts() as interrupts:
            self._write(titles[0] + openings[0])
            try:
                while batch:
                    for generated in batch.advance(chunk):
                        if generated.generation is first:
                            self._write_chunk(generated.text)
                        else:
                            buffers[generated.generation].append(generated.text)
                    interrupts.check()
            except KeyboardInterrupt:
                self._write("" if self._at_line_start else "\n")
                sys.stdout.flush()
                raise
            self._write("\n")
            for title, opening, chunks in zip(titles[1:], openings[1:], buffers.values(), strict=True):
                self._write(f"{title}{opening}{''.join(chunks)}\n")
            # After this block an interrupt ends the process at once, without a flush.
            sys.stdout.flush()

    def _write(self, text: str) -> None:
        sys.stdout.write(terminal_safe(sys.stdout, text))
        self._at_line_start = text.endswith("\n") if text else self._at_line_start

    def _write_chunk(self, text: str) -> None:
        self._write(text)
        now = perf_counter()
        if now - self._flushed >= FLUSH_SECONDS:
            sys.stdout.flush()
            self._flushed = now
        if self.first_text is None:
            self.first_text = now
