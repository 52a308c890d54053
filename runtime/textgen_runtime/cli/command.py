"""Run a command: errors, exit codes, interrupts and closed pipes."""

import os
import sys
from collections.abc import Callable

from textgen_runtime.errors import OutputError, TextgenError, shorten
from textgen_runtime.system.console import print_diagnostic, redirect_to_null

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130


def run_command(prog: str, command: Callable[[], int]) -> int:
    """Run a command and turn what a user can cause into one line and an exit code.

    Returns:
        What the command returns; 1 after an error of the user's, 130 after an interrupt, and 0 when the
        reader of the output has gone away, since it got all that it wanted. A standard output that is closed
        from the start is an error.
    """
    closed = []
    for name in ("stdout", "stderr"):
        # None where the shell has closed it.
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115, PTH123 (for as long as the process)
            closed.append(name)
    try:
        if "stdout" in closed:
            raise OutputError("cannot write standard output: it is closed")
        code = command()
        sys.stdout.flush()
    except TextgenError as error:
        print_diagnostic(prog, str(error))
        return EXIT_FAILED
    except KeyboardInterrupt:
        redirect_to_null(sys.stdout)
        return EXIT_INTERRUPTED
    except MemoryError:
        print_diagnostic(prog, "there is not enough memory for this")
        return EXIT_FAILED
    except BrokenPipeError:
        redirect_to_null(sys.stdout)
        return 0
    except OSError as error:
        # A stream's own errors name no file.
        place = "cannot write standard output"
        if error.filename is None:
            redirect_to_null(sys.stdout)
        else:
            place = shorten(str(error.filename))
        print_diagnostic(prog, f"{place}: {error.strerror or error}")
        return EXIT_FAILED
    return code
