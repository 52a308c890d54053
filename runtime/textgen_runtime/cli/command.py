"""Running a command: errors, exit codes, interrupts and closed pipes."""

import os
import sys
from collections.abc import Callable
from typing import TextIO, cast

from textgen_runtime.errors import Name, OutputError, TextgenError, shorten
from textgen_runtime.terminal import (
    STANDARD_OUTPUT,
    NamedOutput,
    is_closed_pipe,
    print_diagnostic,
    redirect_to_null,
)

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130


# Options whose names are not those of their parameters.
SHORTER = {"temperature": "temp"}


def spell_option(name: Name) -> str:
    """Return a parameter as an option of a command."""
    option = f"--{SHORTER.get(name, name).replace('_', '-')}"
    return option if name.value is None else f"{option} {name.value}"


def run_command(prog: str, command: Callable[..., int], *arguments: object) -> int:
    """Run a command with its arguments, and report user errors in one line.

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
    stdout = sys.stdout
    sys.stdout = cast("TextIO", NamedOutput(stdout))
    try:
        if "stdout" in closed:
            raise OutputError(f"{STANDARD_OUTPUT}: it is closed")
        code = command(*arguments)
        sys.stdout.flush()
    except TextgenError as error:
        print_diagnostic(prog, error.spelled(spell_option))
        return EXIT_FAILED
    except KeyboardInterrupt:
        redirect_to_null(sys.stdout)
        return EXIT_INTERRUPTED
    except MemoryError:
        print_diagnostic(prog, "not enough memory")
        return EXIT_FAILED
    except OSError as error:
        if error.filename == STANDARD_OUTPUT:
            redirect_to_null(stdout)
            if is_closed_pipe(error):
                return 0
        place = "" if error.filename is None else f"{shorten(str(error.filename))}: "
        print_diagnostic(prog, f"{place}{error.strerror or error}")
        return EXIT_FAILED
    finally:
        sys.stdout = stdout
    return code
