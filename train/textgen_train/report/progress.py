"""Progress on the terminal: a bar or plain lines, evaluations, samples, a warning of divergence."""

import math
import os
import sys
from collections.abc import Callable
from time import perf_counter
from typing import NoReturn

from textgen_runtime.terminal import (
    DEFAULT_COLUMNS,
    is_closed_pipe,
    print_diagnostic,
    redirect_to_null,
    terminal_safe,
    write_stderr,
)
from tqdm import tqdm

from textgen_train.loop.events import EvaluationHistory, Status, Watcher, describe
from textgen_train.options import PROG

from .chart import format_duration

SECONDS_BETWEEN_LINES = 10.0

# The format of tqdm, into which the width of the bar is inserted.
BAR_FORMAT = "{{percentage:3.0f}}% {{bar:{}}} {{desc}}"
BAR_COLUMNS = 24


class Progress:
    """The progress of a run as one line every few seconds, for logs and pipes.

    Results go to standard output, progress and warnings to standard error.
    """

    def __init__(self) -> None:
        self._last = perf_counter()

    def show(self, fraction: float, status: str) -> None:
        """Show the used fraction of the time, in [0, 1], and a status text."""
        now = perf_counter()
        if now - self._last >= SECONDS_BETWEEN_LINES:
            self._last = now
            write_stderr(f"{fraction:4.0%}  {status}\n")

    def write(self, text: str) -> None:
        """Write a result to standard output and keep the display intact."""
        write_result(text)

    def warn(self, text: str) -> None:
        """Write a warning to standard error and keep the display intact."""
        print_diagnostic(PROG, text, "warning")

    def close(self) -> None:
        """Remove the display."""


class ProgressBar(Progress):
    """A progress bar that is redrawn on one line of the terminal."""

    def __init__(self) -> None:
        super().__init__()
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
            super().write(text)

    def warn(self, text: str) -> None:
        with tqdm.external_write_mode(file=sys.stderr):
            super().warn(text)

    def close(self) -> None:
        self._bar.close()


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
        if not is_closed_pipe(error):
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
    return ProgressBar() if sys.stderr.isatty() else Progress()


class Display(Watcher):
    """Shows a run on a progress display."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def on_update(self, status: Status) -> None:
        seconds, left = status.update.seconds, status.seconds_left
        # A share of the time, not of the updates: an evaluation follows the last update.
        self._progress.show(
            seconds / max(seconds + left, 1e-9),
            f"{status.nats:.3f} nats  {status.speed:,.0f} characters/s  {format_duration(left)} left",
        )

    def on_evaluation(self, history: EvaluationHistory) -> None:
        evaluation, best = history.evaluations[-1], history.best
        best_so_far = f"; best so far {best.held_out_nats:.4f}" if best is not evaluation else ""
        self._progress.write(f"{describe(evaluation)}{best_so_far}")
        if samples := history.samples[-1]:
            self._progress.write(f"{samples}\n")

    def on_interrupt(self, status: Status | None) -> None:
        if status is not None:
            self._progress.warn(
                "interrupted; evaluating the current model before the end (press Ctrl-C again to discard it)"
            )

    def on_end(self) -> None:
        self._progress.close()


# Training has diverged if, after this many updates, the loss exceeds that of a uniform guess by this margin.
MIN_DIVERGED_UPDATES = 50
DIVERGED_NATS = 0.1


class DivergenceWarning(Watcher):
    """Warns at an evaluation if the training loss is higher than that of a uniform guess.

    The training loss is the mean since the previous evaluation.

    Args:
        warn: Called with the warning. It is called again only after training has recovered.
        characters_per_token: Mean number of characters of a token. The losses are per character.
    """

    def __init__(
        self, vocabulary_size: int, warn: Callable[[str], None], characters_per_token: float = 1.0
    ) -> None:
        self._uniform_nats, self._warn = math.log(vocabulary_size) / characters_per_token, warn
        self._margin_nats = DIVERGED_NATS / characters_per_token
        self._diverged = False

    def on_evaluation_start(self, status: Status) -> None:
        # The margin allows for random text, on which the loss stays slightly above that of a uniform guess.
        diverged = (
            status.updates >= MIN_DIVERGED_UPDATES and status.nats > self._uniform_nats + self._margin_nats
        )
        if diverged and not self._diverged:
            self._warn(
                f"training has diverged: the loss is {status.nats:.2f} nats, and a uniform guess has "
                f"{self._uniform_nats:.2f} nats; try lower learning rates"
            )
        self._diverged = diverged
