"""What Ctrl-C, SIGTERM and SIGHUP do to a training run: the work is kept."""

import signal

from textgen_runtime.system.interrupts import DeferredInterrupts


def deferred_interrupts() -> DeferredInterrupts:
    """A context that holds back Ctrl-C, and what ends a job, shuts a machine down or closes a terminal.

    Not as a KeyboardInterrupt at any statement: an update of the weights is not left half done, and an
    evaluation that has begun is finished, since it would be repeated otherwise.
    """
    names = ("SIGTERM", "SIGHUP")
    return DeferredInterrupts(*(getattr(signal, name) for name in names if hasattr(signal, name)))
