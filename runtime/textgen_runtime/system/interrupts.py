"""Where an interrupt may end a command.

The launcher gives SIGINT its default action: it ends the process at once and in silence, also during an
import, within compiled code, and at exit. Work that must be finished or cleaned up holds interrupts back.
No KeyboardInterrupt is raised at an arbitrary statement then: a library that is being imported may swallow
it, and a line or an update of the weights would be left half done.
"""

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType, TracebackType
from typing import Any, Self

# A terminal that closes may send it twice: the kernel does, and the shell does.
REPEATED = [getattr(signal, name) for name in ("SIGHUP",) if hasattr(signal, name)]


class DeferredInterrupts:
    """A context in which an interrupt waits for ``check``, or for the end of the context.

    A second interrupt of the same kind has its earlier effect at once: in a command it ends the process. A
    signal that is ignored, as under nohup, stays ignored. Outside the main thread, which is where Python
    handles signals, the context does nothing.

    An interrupt is never lost: if the context ends with an error while one waits, that error is the cause of
    the KeyboardInterrupt. Do not nest these contexts: the outer one would hold a second interrupt back.

    Args:
        more: Signals that are interrupts as well, beside SIGINT.
    """

    def __init__(self, *more: int) -> None:
        self._signals = (signal.SIGINT, *more)
        self._before: dict[int, Any] = {}
        self._pending = self._at_once = False

    def __enter__(self) -> Self:
        for number in self._signals:
            before = signal.getsignal(number)
            # None is a handler that is not Python's and could not be put back.
            if before in (signal.SIG_IGN, None):
                continue
            self._before[number] = before
            try:
                signal.signal(number, self._receive)
            except ValueError:
                # This is not the main thread.
                self._before.clear()
                break
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)
        if self._pending and not isinstance(error, KeyboardInterrupt):
            self._pending = False
            raise KeyboardInterrupt from error

    def _receive(self, number: int, _: FrameType | None) -> None:
        if number not in REPEATED:
            signal.signal(number, self._before[number])
        self._pending = True
        if self._at_once:
            self.check()

    def check(self) -> None:
        """Raise what was held back, once.

        Raises:
            KeyboardInterrupt: If there was an interrupt.
        """
        if self._pending:
            self._pending = False
            raise KeyboardInterrupt

    @contextlib.contextmanager
    def raised(self) -> Iterator[None]:
        """A context within this one in which an interrupt is raised at once, to wait for what may never come.

        Raises:
            KeyboardInterrupt: If there was an interrupt.
        """
        try:
            self._at_once = True
            self.check()
            yield
        finally:
            self._at_once = False
