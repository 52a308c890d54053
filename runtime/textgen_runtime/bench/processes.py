"""The measurements of fresh processes: cold start and memory."""

import contextlib
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from textgen_runtime.cli.interrupts import HeldInterrupts
from textgen_runtime.errors import ModelFileError

from .report import Section, times
from .rounds import Contestant, interleave, medians

RUN = "import sys; from textgen_runtime.cli.run import main; sys.exit(main())"

# Runs the command and tells the most memory it ever had. In what getrusage tells, Linux counts the process
# that it was forked from as well; in this file it does not.
MEMORY = """
import re, sys
from textgen_runtime.cli.run import main
code = main()
with open("/proc/self/status") as status:
    sys.stderr.write("\\n" + re.search(r"VmHWM:\\s*(\\d+) kB", status.read()).group(1))
sys.exit(code)
"""


def python(program: str, *arguments: str) -> list[str]:
    """A command line that runs a program in this interpreter."""
    return [sys.executable, "-c", program, *arguments]


def cold_start(path: Path, engines: Sequence[str], seconds: float) -> Section:
    """From nothing to the first character, and to 400."""
    contestants = {
        "python -c pass": Contestant(lambda: finished(python("pass")), 1),
        "python -c 'import numpy'": Contestant(lambda: finished(python("import numpy")), 1),
    }
    for engine in engines:
        command = python(RUN, str(path), "--engine", engine, "--no-echo", "--seed", "1")
        contestants[f"{engine}, first character"] = Contestant(lambda c=command: first_byte(c), 1)  # type: ignore[misc]
        contestants[f"{engine}, 400 characters"] = Contestant(lambda c=command: finished(c), 1)  # type: ignore[misc]
    middle = medians(interleave(contestants, seconds))
    numpy = middle["python -c 'import numpy'"]
    rows = [(name, [f"{each * 1e3:.0f} ms", times(each / numpy)]) for name, each in middle.items()]
    return Section("textgen-run, a fresh process", ["takes", "it / import numpy"], rows, {"seconds": middle})


@contextlib.contextmanager
def running(command: list[str], stdout: int, stderr: int | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is ended with the context, which an interrupt leaves at once.

    Args:
        command: Its command line.
        stdout: Where its output goes, as ``subprocess.Popen`` takes it.
        stderr: Where its standard error goes; None is where this process's own does.
    """
    with HeldInterrupts() as interrupts:
        with interrupt_blocked():
            process = subprocess.Popen(command, stdout=stdout, stderr=stderr)
        with process:
            try:
                with interrupts.raised():
                    yield process
            finally:
                process.kill()


@contextlib.contextmanager
def interrupt_blocked() -> Iterator[None]:
    """A context in which processes are started with SIGINT blocked.

    A terminal sends it to them too, and a Python that is just starting prints a traceback then. ``running``
    kills them instead.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def finished(command: list[str]) -> None:
    """Run a command to its end.

    Raises:
        ModelFileError: If it fails, so that no failure is timed.
    """
    with running(command, stdout=subprocess.DEVNULL) as process:
        process.wait()
    check(process.returncode)


def check(code: int) -> None:
    """See that a process did what it was to do."""
    if code:
        raise ModelFileError(f"a fresh process that generates from it failed (exit code {code})")


def first_byte(command: list[str]) -> None:
    """Run a command to its first byte of output."""
    with running([*command, "--length", "100000000"], stdout=subprocess.PIPE) as process:
        first = process.stdout.read(1) if process.stdout is not None else b""
    if not first:
        check(process.returncode)


def memory(path: Path, engines: Sequence[str], characters: int) -> Section:
    """The most resident memory of a run, short and long."""
    rows, figures = [], dict[str, Any]()
    for engine in engines:
        most = [peak(path, engine, length) for length in (400, characters)]
        rows.append((engine, [f"{each:.1f} MiB" if each else "not known here" for each in most]))
        figures[engine] = {"400": most[0], str(characters): most[1]}
    columns = ["400 characters", f"{characters:,} characters"]
    return Section("textgen-run, most resident memory", columns, rows, figures)


def peak(path: Path, engine: str, characters: int) -> float | None:
    """The most memory a run had, in MiB; None where the system does not tell."""
    if not Path("/proc/self/status").exists():
        return None
    command = python(MEMORY, str(path), "--engine", engine, "--seed", "1", "--length", str(characters))
    with running(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        _, err = process.communicate()
    check(process.returncode)
    # What onnxruntime warns of stands before it.
    return int(err.splitlines()[-1]) / 1024
