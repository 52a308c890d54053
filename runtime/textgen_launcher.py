"""Starts the commands; for the scripts that an installation makes, and not to be imported by programs.

Python turns Ctrl-C into a KeyboardInterrupt at any statement. During an import or the interpreter's shutdown
that prints a traceback, or is swallowed by what is being imported. So the signal gets its default action
back, which ends the process at once and in silence, before anything else is imported. A command that has
something to finish holds interrupts back meanwhile (``textgen_runtime.system.interrupts``).

This module is outside the packages, because importing one of them imports numpy. ``_signal`` is compiled
into the interpreter; ``signal`` would import ``enum``, which takes milliseconds.
"""

import _signal  # type: ignore[import-not-found]

# A signal that is ignored, as under nohup, stays ignored.
if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:
    _signal.signal(_signal.SIGINT, _signal.SIG_DFL)


def run() -> int:
    """Start ``textgen-run``."""
    from textgen_runtime.cli.run import main

    return main()


def evaluate() -> int:
    """Start ``textgen-eval``."""
    from textgen_runtime.cli.eval import main

    return main()


def info() -> int:
    """Start ``textgen-info``."""
    from textgen_runtime.cli.info import main

    return main()


def bench() -> int:
    """Start ``textgen-bench``."""
    from textgen_runtime.cli.bench import main

    return main()


def train() -> int:
    """Start ``textgen-train``."""
    from textgen_train.cli.train import main

    return main()
