"""What a run shows: a line that is rewritten on a terminal, or lines in a log; results on standard output."""

import os
import sys
from collections.abc import Mapping
from time import perf_counter
from typing import Any

from textgen_runtime.cli.command import spell_option
from textgen_runtime.errors import Name
from textgen_runtime.terminal import (
    DEFAULT_COLUMNS,
    is_closed_pipe,
    print_diagnostic,
    redirect_to_null,
    terminal_safe,
    write_stderr,
)

from .config import format_value

PROG = "textgen-train"

# Seconds between two redraws, and between two lines of a log.
REDRAW, LINE = 0.1, 10.0

BAR = 24


class Display:
    """Shows a run. Results go to standard output, progress and warnings to standard error."""

    def __init__(self) -> None:
        self._is_terminal = sys.stderr.isatty()
        self._last = perf_counter()
        self._shown = 0

    def show(self, progress: float, nats: float, speed: float, left: float) -> None:
        """Show the progress in [0, 1], the loss and the speed per character, and the seconds left."""
        if self._is_due():
            status = f"training loss {nats:.3f}  {speed:,.0f} characters/s  {format_duration(left)} left"
            self._show(progress, status)

    def show_share(self, what: str, share: float) -> None:
        """Show which share of some work is done, in [0, 1]."""
        if self._is_due():
            self._show(share, what)

    def _is_due(self) -> bool:
        now = perf_counter()
        is_due = now - self._last >= (REDRAW if self._is_terminal else LINE)
        self._last = now if is_due else self._last
        return is_due

    def _show(self, progress: float, status: str) -> None:
        if not self._is_terminal:
            write_stderr(f"{progress:4.0%}  {status}\n")
            return
        columns = _columns() - 1
        width = min(BAR, columns - len(status) - 8)
        bar = f"{'#' * int(width * progress):<{width}} " if width > 0 else ""
        line = f"{progress:4.0%} {bar} {status}"[:columns]
        self._draw(line)

    def clear(self) -> None:
        """Remove the line of the terminal."""
        if self._shown:
            self._draw("")

    def write(self, text: str) -> None:
        """Write a result. If standard output cannot be written, all later results are discarded."""
        self.clear()
        try:
            sys.stdout.write(f"{terminal_safe(sys.stdout, text)}\n")
            sys.stdout.flush()
        except OSError as error:
            redirect_to_null(sys.stdout)
            if not is_closed_pipe(error):
                reason = error.strerror or error
                self.warn(f"cannot write standard output: {reason}; training continues")

    def note(self, text: str) -> None:
        """Write lines to standard error."""
        self.clear()
        write_stderr(terminal_safe(sys.stderr, text))

    def warn(self, text: str) -> None:
        """Write a warning to standard error."""
        self.clear()
        print_diagnostic(PROG, text, "warning")

    def show_changes(self, epochs: float, usual: Mapping[str, Any], recipe: Mapping[str, Any]) -> None:
        """Show which values of a preset the text and the number of epochs change."""
        changes = [
            spell_option(Name(name, format_value(value)))
            for name, value in recipe.items()
            if usual.get(name) != value
        ]
        if changes:
            # It is an estimate if it is no integer.
            about = "" if isinstance(epochs, int) else "about "
            length = f"{about}{epochs:,.0f} epoch{'s' * (round(epochs) != 1)}"
            self.note(f"preset values for this text and {length}: {', '.join(changes)}\n")

    def _draw(self, line: str) -> None:
        write_stderr(f"\r{line}{' ' * (self._shown - len(line))}" + ("" if line else "\r"))
        self._shown = len(line)


def _columns() -> int:
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or DEFAULT_COLUMNS
    except (OSError, ValueError):
        return DEFAULT_COLUMNS


def format_duration(seconds: float) -> str:
    """Format a duration as 45 s, 2:05 or 1:02:05."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}:{minutes:02}:{rest:02}"
    return f"{minutes}:{rest:02}" if minutes else f"{rest} s"
