"""Interrupts of a training run: Ctrl-C, SIGTERM and SIGHUP."""

import contextlib
import signal
from collections.abc import Callable, Iterator
from types import FrameType

from textgen_runtime.system.interrupts import DeferredInterrupts

# Windows does not have SIGHUP.
ENDING_SIGNALS = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]


def deferred_interrupts() -> DeferredInterrupts:
    """Return a context that defers Ctrl-C, SIGTERM and SIGHUP until the run checks for them.

    An interrupt never stops an update or an evaluation halfway: the run checks for it only after them.
    """
    return DeferredInterrupts(*ENDING_SIGNALS)


@contextlib.contextmanager
def cleaning_up(clean_up: Callable[[], None]) -> Iterator[None]:
    """Return a context in which Ctrl-C, SIGTERM and SIGHUP call a function before they end the process.

    It does not raise KeyboardInterrupt, which an import might suppress. A signal takes effect when a call of
    compiled code has returned. Only signals with their default action are handled, and only in the main
    thread.
    """
    changed = []

    def end(number: int, _: FrameType | None) -> None:
        clean_up()
        signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(number)

    with contextlib.suppress(ValueError):
        # In other threads than the main thread, a handler is a ValueError.
        for number in (signal.SIGINT, *ENDING_SIGNALS):
            if signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, end)
                changed.append(number)
    try:
        yield
    finally:
        for number in changed:
            signal.signal(number, signal.SIG_DFL)
