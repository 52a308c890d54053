"""Running a command: errors, exit codes, interrupts and closed pipes."""

import os
import sys
from collections.abc import Callable

from textgen_runtime.errors import OutputError, TextgenError, shorten
from textgen_runtime.system.console import print_diagnostic, redirect_to_null

from ._option_names import with_option_names

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130


def run_command(prog: str, command: Callable[[], int]) -> int:
    """Run a command and report user errors in one line.

    Returns:
        The command's exit code; 1 after a user error, and 130 after an interrupt. If the reader of standard
        output closes the pipe, the result is 0. If standard output is closed from the start, it is 1.
    """
    closed = []
    for name in ("stdout", "stderr"):
        # None if the shell closed it.
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115, PTH123 (open until the process ends)
            closed.append(name)
    try:
        if "stdout" in closed:
            raise OutputError("cannot write standard output: it is closed")
        code = command()
        sys.stdout.flush()
    except TextgenError as error:
        print_diagnostic(prog, with_option_names(error))
        return EXIT_FAILED
    except KeyboardInterrupt:
        redirect_to_null(sys.stdout)
        return EXIT_INTERRUPTED
    except MemoryError:
        print_diagnostic(prog, "not enough memory")
        return EXIT_FAILED
    except BrokenPipeError:
        redirect_to_null(sys.stdout)
        return 0
    except OSError as error:
        # An error of the stream itself has no file name.
        place = "cannot write standard output"
        if error.filename is None:
            redirect_to_null(sys.stdout)
        else:
            place = shorten(str(error.filename))
        print_diagnostic(prog, f"{place}: {error.strerror or error}")
        return EXIT_FAILED
    return code
