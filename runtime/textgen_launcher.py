"""Entry points of the commands, for the scripts that an installation creates. Programs must not import them.

Python raises KeyboardInterrupt at any statement after Ctrl-C. During an import, or while the interpreter
exits, the exception prints a traceback or is swallowed. This module therefore restores the default action of
SIGINT before it imports anything else: the signal then ends the process at once, without a message. A command
that must finish something defers interrupts (``textgen_runtime.interrupts``).

The module is outside the packages because importing a package would run its ``__init__`` first. ``_signal``
is built into the interpreter; ``signal`` would import ``enum``, which takes milliseconds.
"""

import _signal  # type: ignore[import-not-found]

# An ignored signal, as under nohup, stays ignored.
if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:
    _signal.signal(_signal.SIGINT, _signal.SIG_DFL)


def _run_command(prog: str, module: str) -> int:
    """Import the module of a command, run its function ``main``, and return its exit code.

    The native engine needs no numpy, so an installation may be without it: see docs/architecture.md.

    Raises:
        SystemExit: If a module cannot be imported. Python prints the message.
    """
    import sys
    from importlib import import_module

    if not getattr(sys, "_is_gil_enabled", lambda: True)():
        import warnings

        # Two modules need the GIL, see docs/architecture.md. The user of a command cannot change this.
        warnings.filterwarnings("ignore", "The global interpreter lock", RuntimeWarning)
    try:
        return int(import_module(module).main())
    except ImportError as error:
        reason: BaseException = error
        # numpy wraps the reason in advice of many lines.
        while reason.__cause__ is not None:
            reason = reason.__cause__
        message = str(reason)
        if "numpy" in str(error):
            message = f"cannot import numpy ({reason}): pip install --force-reinstall numpy"
        raise SystemExit(f"{prog}: error: {message}") from None


def run() -> int:
    """Run ``textgen-run`` and return its exit code."""
    return _run_command("textgen-run", "textgen_runtime.cli.run")


def evaluate() -> int:
    """Run ``textgen-eval`` and return its exit code."""
    return _run_command("textgen-eval", "textgen_runtime.cli.eval")


def info() -> int:
    """Run ``textgen-info`` and return its exit code."""
    return _run_command("textgen-info", "textgen_runtime.cli.info")


def bench() -> int:
    """Run ``textgen-bench`` and return its exit code."""
    return _run_command("textgen-bench", "textgen_runtime.cli.bench")


def embed() -> int:
    """Run ``textgen-embed`` and return its exit code."""
    return _run_command("textgen-embed", "textgen_runtime.cli.embed")


def serve() -> int:
    """Run ``textgen-serve`` and return its exit code."""
    return _run_command("textgen-serve", "textgen_runtime.cli.serve")


def web() -> int:
    """Run ``textgen-web`` and return its exit code."""
    return _run_command("textgen-web", "textgen_runtime.cli.web")


def train() -> int:
    """Run ``textgen-train`` and return its exit code."""
    return _run_command("textgen-train", "textgen_train.cli")


def compare() -> int:
    """Run ``textgen-compare`` and return its exit code."""
    return _run_command("textgen-compare", "textgen_train.compare")


def quantize() -> int:
    """Run ``textgen-quantize`` and return its exit code."""
    return _run_command("textgen-quantize", "textgen_train.quantize")
