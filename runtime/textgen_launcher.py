"""Entry points of the commands, for the scripts that an installation creates. Programs must not import them.

Python raises KeyboardInterrupt at any statement after Ctrl-C. During an import, or while the interpreter
exits, the exception prints a traceback or is swallowed. This module therefore restores the default action of
SIGINT before it imports anything else: the signal then ends the process at once, without a message. A command
that must finish something defers interrupts (``textgen_runtime.system.interrupts``).

The module is outside the packages because importing a package would run its ``__init__`` first. ``_signal``
is built into the interpreter; ``signal`` would import ``enum``, which takes milliseconds.
"""

import _signal  # type: ignore[import-not-found]

# An ignored signal, as under nohup, stays ignored.
if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:
    _signal.signal(_signal.SIGINT, _signal.SIG_DFL)


def run() -> int:
    """Run ``textgen-run`` and return its exit code."""
    from textgen_runtime.cli.run import main

    return main()


def evaluate() -> int:
    """Run ``textgen-eval`` and return its exit code."""
    from textgen_runtime.cli.eval import main

    return main()


def info() -> int:
    """Run ``textgen-info`` and return its exit code."""
    from textgen_runtime.cli.info import main

    return main()


def bench() -> int:
    """Run ``textgen-bench`` and return its exit code."""
    from textgen_runtime.cli.bench import main

    return main()


def embed() -> int:
    """Run ``textgen-embed`` and return its exit code."""
    from textgen_runtime.cli.embed import main

    return main()


def serve() -> int:
    """Run ``textgen-serve`` and return its exit code."""
    from textgen_runtime.cli.serve import main

    return main()


def web() -> int:
    """Run ``textgen-web`` and return its exit code."""
    from textgen_runtime.cli.web import main

    return main()


def train() -> int:
    """Run ``textgen-train`` and return its exit code."""
    from textgen_train.cli.train import main

    return main()


def compare() -> int:
    """Run ``textgen-compare`` and return its exit code."""
    from textgen_train.cli.compare import main

    return main()


def quantize() -> int:
    """Run ``textgen-quantize`` and return its exit code."""
    from textgen_train.cli.quantize import main

    return main()
