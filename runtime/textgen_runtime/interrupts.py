"""Deferred handling of interrupts (Ctrl-C and other signals).

The launcher gives SIGINT its default action: the signal ends the process immediately and silently, even
during an import, in compiled code and at exit. Code that must finish or clean up defers interrupts.
KeyboardInterrupt is not raised at an arbitrary statement, because a library that is being imported might
suppress it, and a line of output or a weight update would stay incomplete.
"""

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType, TracebackType
from typing import Any, Self

# A closed terminal may send SIGHUP twice: once from the kernel and once from the shell.
REPEATED_SIGNALS = [getattr(signal, name) for name in ("SIGHUP",) if hasattr(signal, name)]


class DeferredInterrupts:
    """A context that defers interrupts until ``check`` is called or the context ends.

    A second interrupt by the same signal has its original effect: in a command, it ends the process. Ignored
    signals, as under nohup, stay ignored. In threads other than the main thread, the context does nothing,
    because Python handles signals in the main thread.

    An interrupt is never lost. If the context ends with an error while an interrupt is pending, the error
    becomes the cause of the KeyboardInterrupt. Do not nest these contexts, because the outer context would
    defer the second interrupt.

    Args:
        signals: Signals to defer in addition to SIGINT.
    """

    def __init__(self, *signals: int) -> None:
        self._signals = (signal.SIGINT, *signals)
        self._original_handlers: dict[int, Any] = {}
        self._pending = self._immediate = False

    def __enter__(self) -> Self:
        for number in self._signals:
            handler = signal.getsignal(number)
            # None means a handler that was not installed from Python and cannot be restored.
            if handler in (signal.SIG_IGN, None):
                continue
            self._original_handlers[number] = handler
            try:
                signal.signal(number, self._receive)
            except ValueError:
                # This is not the main thread.
                self._original_handlers.clear()
                break
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for number, handler in self._original_handlers.items():
            signal.signal(number, handler)
        if self._pending and not isinstance(error, KeyboardInterrupt):
            self._pending = False
            raise KeyboardInterrupt from error

    def _receive(self, number: int, _: FrameType | None) -> None:
        if number not in REPEATED_SIGNALS:
            signal.signal(number, self._original_handlers[number])
        self._pending = True
        if self._immediate:
            self.check()

    def check(self) -> None:
        """Raise the pending interrupt, if any.

        Raises:
            KeyboardInterrupt: If an interrupt was deferred.
        """
        if self._pending:
            self._pending = False
            raise KeyboardInterrupt

    @contextlib.contextmanager
    def immediate(self) -> Iterator[None]:
        """Return an inner context in which interrupts are raised immediately, for waits that may be long.

        Raises:
            KeyboardInterrupt: If an interrupt was deferred or arrives in the inner context.
        """
        try:
            self._immediate = True
            self.check()
            yield
        finally:
            self._immediate = False


@contextlib.contextmanager
def interrupts_ignored() -> Iterator[None]:
    """Return a context in which Ctrl-C has an effect only where a ``DeferredInterrupts`` waits for it.

    Otherwise a second Ctrl-C, or one between two lines, would end the session.
    """
    original = signal.getsignal(signal.SIGINT)
    # An ignored signal stays ignored, and a handler of other code cannot be restored.
    if original in (signal.SIG_IGN, None):
        yield
        return
    # SIG_IGN would not be replaced by DeferredInterrupts.
    signal.signal(signal.SIGINT, lambda *_: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, original)
