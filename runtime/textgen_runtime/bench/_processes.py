"""The measurements of fresh processes: cold start and memory."""

import contextlib
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from threading import Timer
from typing import Any, BinaryIO

from textgen_runtime.errors import ModelFileError
from textgen_runtime.system.interrupts import DeferredInterrupts

from ._rounds import Contestant, cut_short, interleave, medians
from ._spread import Ratio, ratios, spreads
from .context import Bench
from .deadline import FOREVER, Deadline, DeadlineError
from .report import Section, times

NUMPY = "python -c 'import numpy'"
SHORT_RUN = 400

RUN = "import sys; from textgen_runtime.cli.run import main; sys.exit(main())"

# The command, with a model from standard input in place of the one that its argument names.
GIVEN = """
import sys
from textgen_runtime.cli import run
load = run.load
run.load = lambda _, **options: load(sys.stdin.buffer, **options)
"""

GIVEN_NAME = "-"

RUN_GIVEN = f"{GIVEN}sys.exit(run.main())"

# Runs the command and tells the most memory it ever had. In what getrusage tells, Linux counts the process
# that it was forked from as well; in this file it does not.
MEMORY = f"""{GIVEN}
import re
code = run.main()
with open("/proc/self/status") as status:
    sys.stderr.write("\\n" + re.search(r"VmHWM:\\s*(\\d+) kB", status.read()).group(1))
sys.exit(code)
"""


def python(program: str, *arguments: str) -> list[str]:
    """A command line that runs a program in this interpreter.

    Every process that the package starts is started by this command line. It never imports from the working
    folder: a file ``numpy.py`` that lies there would otherwise be executed. The other switches that restrict
    where this process imports from hold for the new one too, so that it finds the same modules.
    """
    switches = ["-P"]
    switches += ["-E"] * sys.flags.ignore_environment
    switches += ["-s"] * sys.flags.no_user_site
    return [sys.executable, *switches, "-c", program, *arguments]


@contextlib.contextmanager
def stored(content: bytes) -> Iterator[BinaryIO]:
    """A temporary file with this content, for processes to read as standard input.

    Not the model's own file, because what onnxruntime runs was checked, and a file may change. It has no
    name, so that nothing is left behind where an interrupt ends this process.
    """
    with tempfile.TemporaryFile() as file:
        file.write(content)
        file.flush()
        yield file


def cold_start(bench: Bench, deadline: Deadline) -> Section:
    """From nothing to the first character, and to 400."""
    with stored(bench.content) as model:
        return cold_start_of(model, bench, deadline)


def cold_start_of(model: BinaryIO, bench: Bench, deadline: Deadline) -> Section:
    """The section, of a model that processes read."""
    contestants = {
        "python -c pass": Contestant(lambda: finished(python("pass"), deadline), 1),
        NUMPY: Contestant(lambda: finished(python("import numpy"), deadline), 1),
    }
    for engine in bench.engines:
        command = python(RUN_GIVEN, GIVEN_NAME, "--engine", engine, "--no-echo", "--seed", "1")
        contestants[f"{engine}, first character"] = Contestant(
            lambda command=command: first_byte(command, deadline, model),  # type: ignore[misc]
            1,
        )
        contestants[f"{engine}, {SHORT_RUN} characters"] = Contestant(
            lambda command=command: finished(command, deadline, model),  # type: ignore[misc]
            1,
        )
    taken = interleave(contestants, 2 * bench.seconds, deadline)
    middle = medians(taken)
    numpy = middle.get(NUMPY)
    rows = [
        (name, [f"{each * 1e3:.0f} ms", times(each / numpy) if numpy else ""])
        for name, each in middle.items()
    ]
    spread = spreads(taken)
    ours = [name for name in contestants if not name.startswith("python")]
    return Section(
        "textgen-run, a fresh process",
        ["takes", "it / import numpy"],
        rows,
        {"seconds": {name: each.as_json() for name, each in spread.items()}},
        ratios=ratios(taken, ours, [NUMPY]),
        spreads=spread,
        notes=cut_short(contestants, taken),
    )


@contextlib.contextmanager
def running(
    command: list[str],
    deadline: Deadline = FOREVER,
    *,
    stdin: BinaryIO | None = None,
    stdout: int,
    stderr: int | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is killed at the end of the context, which an interrupt ends at once, or at a deadline.

    The timeouts of ``subprocess`` are of no use here: while one runs, it looks for the end of a process only
    every 50 ms.

    Args:
        command: Its command line.
        deadline: When it is killed; the context goes on.
        stdin: What it reads from its beginning as standard input; None is this process's own.
        stdout: Where its output goes, as ``subprocess.Popen`` takes it.
        stderr: Where its standard error goes; None is where this process's own does.
    """
    if stdin is not None:
        # The processes share the place in the file.
        stdin.seek(0)
    with DeferredInterrupts() as interrupts:
        with interrupt_blocked():
            process = subprocess.Popen(command, stdin=stdin, stdout=stdout, stderr=stderr)
        timer = Timer(deadline.left, process.kill) if deadline.is_finite else None
        with process:
            try:
                if timer:
                    timer.start()
                with interrupts.immediate():
                    yield process
            finally:
                if timer:
                    timer.cancel()
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


def finished(command: list[str], deadline: Deadline = FOREVER, stdin: BinaryIO | None = None) -> None:
    """Run a command to its end.

    Args:
        command: Its command line.
        deadline: When it is killed.
        stdin: As for ``running``.

    Raises:
        ModelFileError: If it fails, so that no failure is timed.
        DeadlineError: If it takes too long.
    """
    with running(command, deadline, stdin=stdin, stdout=subprocess.DEVNULL) as process:
        code = process.wait()
    check(code, deadline)


def first_byte(command: list[str], deadline: Deadline = FOREVER, stdin: BinaryIO | None = None) -> None:
    """Run a command to its first byte of output; arguments and errors are those of ``finished``."""
    endless = [*command, "--length", "100000000"]
    with running(endless, deadline, stdin=stdin, stdout=subprocess.PIPE) as process:
        first = process.stdout.read(1) if process.stdout is not None else b""
    if not first:
        check(process.returncode, deadline)


def check(code: int, deadline: Deadline) -> None:
    """See that a process did what it was to do.

    Raises:
        DeadlineError: If it failed, and was killed at the deadline.
        ModelFileError: If it failed otherwise.
    """
    if code and deadline.passed:
        raise DeadlineError
    if code:
        raise ModelFileError(f"a fresh process that generates from it failed (exit code {code})")


def memory(bench: Bench, deadline: Deadline) -> Section:
    """The most resident memory of a run, short and long."""
    rows, figures, notes = [], dict[str, Any](), []
    found = {}
    for engine in bench.engines:
        most: dict[str, float | None] = {}
        for length in (SHORT_RUN, bench.long_run):
            try:
                most[str(length)] = peak(bench.content, engine, length, deadline)
            except DeadlineError:
                notes.append(f"not measured, for want of time: {engine}, {length:,} characters")
        rows.append((engine, [mebibytes(most, length) for length in (SHORT_RUN, bench.long_run)]))
        figures[engine] = most
        short, long = most.get(str(SHORT_RUN)), most.get(str(bench.long_run))
        if short and long:
            name = f"{engine}, {bench.long_run} characters / {SHORT_RUN} characters"
            found[name] = Ratio.of([long], [short])
    columns = [f"{length:,} characters" for length in (SHORT_RUN, bench.long_run)]
    return Section(
        "textgen-run, most resident memory", columns, rows, {"mebibytes": figures}, ratios=found, notes=notes
    )


def mebibytes(most: dict[str, float | None], length: int) -> str:
    """A cell of the table."""
    if str(length) not in most:
        return ""
    found = most[str(length)]
    return f"{found:.1f} MiB" if found else "not known here"


def peak(content: bytes, engine: str, characters: int, deadline: Deadline = FOREVER) -> float | None:
    """The most memory a run had, in MiB; None where the system does not tell.

    Raises:
        ModelFileError: If the run fails.
        DeadlineError: If it takes too long.
    """
    if not Path("/proc/self/status").exists():
        return None
    options = ("--engine", engine, "--seed", "1", "--length", str(characters))
    command = python(MEMORY, GIVEN_NAME, *options)
    with (
        stored(content) as model,
        running(command, deadline, stdin=model, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process,
    ):
        _, told = process.communicate()
    check(process.returncode, deadline)
    # What onnxruntime warns of stands before it.
    return int(told.splitlines()[-1]) / 1024
