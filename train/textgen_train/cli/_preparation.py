"""The progress of reading and encoding a large corpus."""

from time import perf_counter

from textgen_runtime.system.console import write_stderr

SECONDS_TO_FIRST_LINE = 2.0
SECONDS_BETWEEN_LINES = 10.0

MEGABYTE = 1e6


class Preparation:
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
