"""Progress displays: a bar on a terminal, and plain lines otherwise."""

import os
import sys
from time import perf_counter
from typing import NoReturn, Protocol

from textgen_runtime.system.console import (
    DEFAULT_COLUMNS,
    print_diagnostic,
    redirect_to_null,
    terminal_safe,
    write_stderr,
)
from tqdm import tqdm

# The command that trains, for warnings.
PROG = "textgen-train"

SECONDS_BETWEEN_LINES = 10.0

# The format of tqdm, into which the width of the bar is inserted.
BAR_FORMAT = "{{percentage:3.0f}}% {{bar:{}}} {{desc}}"
BAR_COLUMNS = 24


class Progress(Protocol):
    """A progress display. Results go to standard output, progress and warnings to standard error."""

    def show(self, fraction: float, status: str) -> None:
        """Show the used fraction of the time, in [0, 1], and a status text."""
        ...

    def write(self, text: str) -> None:
        """Write a result to standard output and keep the display intact."""
        ...

    def warn(self, text: str) -> None:
        """Write a warning to standard error and keep the display intact."""
        ...

    def close(self) -> None:
        """Remove the display."""
        ...


class ProgressBar:
    """A progress bar that is redrawn on one line of the terminal."""

    def __init__(self) -> None:
        self._bar: tqdm[NoReturn] = tqdm(
            total=1.0,
            bar_format=BAR_FORMAT.format(BAR_COLUMNS),
            dynamic_ncols=True,
            leave=False,
            file=sys.stderr,
        )

    def show(self, fraction: float, status: str) -> None:
        self._bar.n = fraction
        # On a narrow terminal, the bar is shorter, so that the line ends with the time that is left. tqdm
        # keeps the last column free.
        columns = _columns() - 1 - len(BAR_FORMAT.format(0).format(percentage=0, bar="", desc=status))
        self._bar.bar_format = BAR_FORMAT.format(max(1, min(columns, BAR_COLUMNS)))
        self._bar.set_description_str(status, refresh=False)
        # tqdm redraws only if enough time has passed since the last redraw.
        self._bar.update(0)

    def write(self, text: str) -> None:
        with tqdm.external_write_mode(file=sys.stdout):
            write_result(text)

    def warn(self, text: str) -> None:
        with tqdm.external_write_mode(file=sys.stderr):
            print_diagnostic(PROG, text, "warning")

    def close(self) -> None:
        self._bar.close()


class ProgressLines:
    """One line every few seconds, for logs and pipes."""

    def __init__(self) -> None:
        self._last = perf_counter()

    def show(self, fraction: float, status: str) -> None:
        now = perf_counter()
        if now - self._last >= SECONDS_BETWEEN_LINES:
            self._last = now
            write_stderr(f"{fraction:4.0%}  {status}\n")

    def write(self, text: str) -> None:
        write_result(text)

    def warn(self, text: str) -> None:
        print_diagnostic(PROG, text, "warning")

    def close(self) -> None:
        pass


def write_result(text: str) -> None:
    """Write a result to standard output.

    If a write fails, all later results are discarded. A warning is printed, except if the cause is a pipe
    that its reader has closed.
    """
    try:
        sys.stdout.write(f"{terminal_safe(sys.stdout, text)}\n")
        sys.stdout.flush()
    except OSError as error:
        redirect_to_null(sys.stdout)
        if not isinstance(error, BrokenPipeError):
            reason = error.strerror or error
            print_diagnostic(PROG, f"cannot write standard output: {reason}; training continues", "warning")


def _columns() -> int:
    """Return the width of the terminal that shows the bar."""
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or DEFAULT_COLUMNS
    except (OSError, ValueError):
        return DEFAULT_COLUMNS


def make_progress() -> Progress:
    """Return a bar if standard error is a terminal, and plain lines otherwise."""
    return ProgressBar() if sys.stderr.isatty() else ProgressLines()
