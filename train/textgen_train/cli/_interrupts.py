"""Interrupts of a training run: Ctrl-C, SIGTERM and SIGHUP."""

import signal

from textgen_runtime.system.interrupts import DeferredInterrupts


def deferred_interrupts() -> DeferredInterrupts:
    """Return a context that defers Ctrl-C, SIGTERM and SIGHUP until the run checks for them.

    An interrupt never stops an update or an evaluation halfway: the run checks for it only after them.
    """
    names = ("SIGTERM", "SIGHUP")
    return DeferredInterrupts(*(getattr(signal, name) for name in names if hasattr(signal, name)))
