"""What a person sees while a model trains: a bar on a terminal, plain lines elsewhere."""

import sys
from time import perf_counter
from typing import NoReturn, Protocol

from textgen_runtime.system.console import redirect_to_null, terminal_safe, write_stderr
from tqdm import tqdm

PLAIN_SECONDS = 10.0


class Progress(Protocol):
    """Shows how far training is. Results go to standard output, progress to standard error."""

    def show(self, fraction: float, status: str) -> None:
        """Show that this fraction of the budget is used up."""
        ...

    def write(self, text: str) -> None:
        """Write a result on standard output without spoiling the display."""
        ...

    def warn(self, text: str) -> None:
        """Write a warning on standard error without spoiling the display."""
        ...

    def close(self) -> None:
        """Take the display away."""
        ...


class Bar:
    """A bar that redraws itself on one line of the terminal."""

    def __init__(self) -> None:
        self._bar: tqdm[NoReturn] = tqdm(
            total=1.0,
            bar_format="{percentage:3.0f}% {bar:24} {desc}",
            dynamic_ncols=True,
            leave=False,
            file=sys.stderr,
        )

    def show(self, fraction: float, status: str) -> None:
        self._bar.n = fraction
        self._bar.set_description_str(status, refresh=False)
        # tqdm decides by the time since the last one whether to draw.
        self._bar.update(0)

    def write(self, text: str) -> None:
        with tqdm.external_write_mode(file=sys.stdout):
            write_result(text)

    def warn(self, text: str) -> None:
        with tqdm.external_write_mode(file=sys.stderr):
            write_stderr(f"warning: {text}\n")

    def close(self) -> None:
        self._bar.close()


class PlainLines:
    """A line every few seconds, for logs and pipes."""

    def __init__(self) -> None:
        self._last = perf_counter()

    def show(self, fraction: float, status: str) -> None:
        now = perf_counter()
        if now - self._last >= PLAIN_SECONDS:
            self._last = now
            write_stderr(f"{fraction:4.0%}  {status}\n")

    def write(self, text: str) -> None:
        write_result(text)

    def warn(self, text: str) -> None:
        write_stderr(f"warning: {text}\n")

    def close(self) -> None:
        pass


def write_result(text: str) -> None:
    """Write to standard output; if it can no longer be written, training is still worth finishing."""
    try:
        sys.stdout.write(f"{terminal_safe(sys.stdout, text)}\n")
        sys.stdout.flush()
    except OSError as error:
        redirect_to_null(sys.stdout)
        if not isinstance(error, BrokenPipeError):
            write_stderr(
                f"warning: cannot write standard output: {error.strerror or error}; training goes on\n"
            )


def make_progress() -> Progress:
    """The display that suits where standard error goes."""
    return Bar() if sys.stderr.isatty() else PlainLines()


def clock(seconds: float) -> str:
    """A time to read at a glance: 45 s, 2:05, 1:02:05."""
    hours, rest = divmod(round(seconds), 3600)
    minutes, rest = divmod(rest, 60)
    if hours:
        return f"{hours}:{minutes:02}:{rest:02}"
    return f"{minutes}:{rest:02}" if minutes else f"{rest} s"
