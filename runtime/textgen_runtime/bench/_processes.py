"""The sections "cold-start" and "memory", which start new processes."""

import contextlib
import signal
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from threading import Timer
from typing import Any, BinaryIO

from textgen_runtime.errors import ModelFileError
from textgen_runtime.system.interrupts import DeferredInterrupts

from .context import BenchContext
from .report import Section, timed, times
from .rounds import NO_DEADLINE, Candidate, Deadline, DeadlineError, Spread, interleave, medians, ratios

IMPORT_NUMPY = "python -c 'import numpy'"
SHORT_RUN = 400

RUN = "import sys; from textgen_runtime.cli.run import main; sys.exit(main())"

# Makes textgen-run load the model from standard input, whatever its argument names.
LOAD_FROM_STDIN = """
import sys
from textgen_runtime.cli import run
load = run.load
run.load = lambda _, **options: load(sys.stdin.buffer, **options)
"""

STDIN_NAME = "-"

RUN_FROM_STDIN = f"{LOAD_FROM_STDIN}sys.exit(run.main())"

# Runs the command and prints its peak memory. On Linux, getrusage includes the parent process that was
# forked; this file does not.
RUN_AND_PRINT_MEMORY = f"""{LOAD_FROM_STDIN}
import re
code = run.main()
with open("/proc/self/status") as status:
    sys.stderr.write("\\n" + re.search(r"VmHWM:\\s*(\\d+) kB", status.read()).group(1))
sys.exit(code)
"""


def python_command(program: str, *arguments: str) -> list[str]:
    """Return a command line that runs a program in this interpreter.

    All processes of the package are started with this command line. It does not import from the working
    folder, where a file such as ``numpy.py`` would be executed. Restrictions of this process's import path
    apply to the new process too, so that both find the same modules.
    """
    switches = ["-P"]
    switches += ["-E"] * sys.flags.ignore_environment
    switches += ["-s"] * sys.flags.no_user_site
    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        # The launcher of the commands hides this warning, too. It asks whether the GIL is disabled. This
        # process cannot: it has imported modules that enable the GIL.
        switches += ["-W", "ignore:The global interpreter lock:RuntimeWarning"]
    return [sys.executable, *switches, "-c", program, *arguments]


@contextlib.contextmanager
def temporary_model_file(content: bytes) -> Iterator[BinaryIO]:
    """Write content to a temporary file that processes read as standard input.

    The model's own file is not used: it may change, and only ``content`` was checked for onnxruntime. The
    temporary file has no name, so that an interrupt leaves nothing behind.
    """
    with tempfile.TemporaryFile() as file:
        file.write(content)
        file.flush()
        yield file


def cold_start(bench: BenchContext, deadline: Deadline) -> Section:
    """Measure new processes of ``textgen-run`` to their first token, and to 400 tokens."""
    runs = {
        "python -c pass": partial(run_to_end, python_command("pass"), deadline),
        IMPORT_NUMPY: partial(run_to_end, python_command("import numpy"), deadline),
    }
    with temporary_model_file(bench.content) as model:
        for engine in bench.engines:
            # The default length of records is another.
            options = ("--engine", engine, "--no-echo", "--seed", "1", "--length", str(SHORT_RUN))
            command = python_command(RUN_FROM_STDIN, STDIN_NAME, *options)
            runs[f"{engine}, first {bench.unit}"] = partial(run_to_first_byte, command, deadline, model)
            runs[f"{engine}, {SHORT_RUN} {bench.unit}s"] = partial(run_to_end, command, deadline, model)
        candidates = {name: Candidate(run, 1) for name, run in runs.items()}
        seconds = interleave(candidates, 2 * bench.seconds, deadline)
    median_seconds = medians(seconds)
    baseline = median_seconds.get(IMPORT_NUMPY)
    rows = [
        (name, [f"{median * 1e3:.0f} ms", times(median / baseline) if baseline else ""])
        for name, median in median_seconds.items()
    ]
    return Section(
        "cold start: textgen-run in a fresh process",
        ["time", "time / import numpy"],
        rows,
        ratios=ratios(seconds, [name for name in runs if not name.startswith("python")], [IMPORT_NUMPY]),
        **timed(runs, seconds),
    )


@contextlib.contextmanager
def child_process(
    command: list[str],
    deadline: Deadline = NO_DEADLINE,
    *,
    stdin: BinaryIO | None = None,
    stdout: int,
    stderr: int | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """Start a process, and kill it at the end of the context or at the deadline.

    An interrupt ends the context immediately. The timeouts of ``subprocess`` are not used, because they
    detect the end of a process only every 50 ms.

    Args:
        command: Command line.
        deadline: When to kill the process. The context continues.
        stdin: File to use as standard input, from its beginning; None inherits standard input.
        stdout: Standard output, as for ``subprocess.Popen``.
        stderr: Standard error, as for ``subprocess.Popen``; None inherits it.
    """
    if stdin is not None:
        # All processes share the position in the file.
        stdin.seek(0)
    with DeferredInterrupts() as interrupts:
        with interrupt_blocked():
            process = subprocess.Popen(command, stdin=stdin, stdout=stdout, stderr=stderr)
        timer = Timer(deadline.seconds_left, process.kill) if deadline.is_finite else None
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
    """Block SIGINT in the processes that are started in this context.

    A terminal sends SIGINT to child processes too, and Python prints a traceback if it arrives during
    startup. ``child_process`` kills them instead.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    previous = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, previous)


def run_to_end(command: list[str], deadline: Deadline = NO_DEADLINE, stdin: BinaryIO | None = None) -> None:
    """Run a command until it exits.

    Args:
        command: Command line.
        deadline: When to kill the process.
        stdin: As for ``child_process``.

    Raises:
        ModelFileError: If the command fails.
        DeadlineError: If the deadline passes.
    """
    with child_process(command, deadline, stdin=stdin, stdout=subprocess.DEVNULL) as process:
        code = process.wait()
    check_exit_code(code, deadline)


def run_to_first_byte(
    command: list[str], deadline: Deadline = NO_DEADLINE, stdin: BinaryIO | None = None
) -> None:
    """Run a command until it writes its first byte. Arguments and errors are those of ``run_to_end``."""
    endless = [*command, "--length", "100000000"]
    with child_process(endless, deadline, stdin=stdin, stdout=subprocess.PIPE) as process:
        first = process.stdout.read(1) if process.stdout is not None else b""
    if not first:
        check_exit_code(process.returncode, deadline)


def check_exit_code(code: int, deadline: Deadline) -> None:
    """Raise an error if a process failed.

    Raises:
        DeadlineError: If the deadline has passed, which is then the likely cause.
        ModelFileError: If the process failed before the deadline.
    """
    if code and deadline.passed:
        raise DeadlineError
    if code:
        raise ModelFileError(f"textgen-run failed with this model in a new process (exit code {code})")


def memory(bench: BenchContext, deadline: Deadline) -> Section:
    """Measure the peak resident memory of a short and a long run of ``textgen-run``."""
    rows, figures, notes = [], dict[str, Any](), []
    memory_ratios = {}
    lengths = (SHORT_RUN, bench.long_run)
    for engine in bench.engines:
        peaks: dict[str, float | None] = {}
        for length in lengths:
            try:
                peaks[str(length)] = peak_memory(bench.content, engine, length, deadline)
            except DeadlineError:
                notes.append(f"not measured, out of time: {engine}, {length:,} {bench.unit}s")
        rows.append((engine, [format_peak(peaks, length) for length in lengths]))
        figures[engine] = peaks
        short, long = (peaks.get(str(length)) for length in lengths)
        if short and long:
            name = f"{engine}, {bench.long_run} {bench.unit}s / {SHORT_RUN} {bench.unit}s"
            memory_ratios[name] = Spread.of_ratio([long], [short])
    return Section(
        "textgen-run, peak resident memory",
        [f"{length:,} {bench.unit}s" for length in lengths],
        rows,
        {"mebibytes": figures},
        ratios=memory_ratios,
        notes=notes,
    )


def format_peak(peaks: dict[str, float | None], length: int) -> str:
    """Format the cell of a length; empty if it was not measured."""
    if str(length) not in peaks:
        return ""
    mebibytes = peaks[str(length)]
    return f"{mebibytes:.1f} MiB" if mebibytes else "not available"


def peak_memory(
    content: bytes, engine: str, characters: int, deadline: Deadline = NO_DEADLINE
) -> float | None:
    """Return the peak resident memory of a run in MiB; None if the system does not provide it.

    Raises:
        ModelFileError: If the run fails.
        DeadlineError: If the deadline passes.
    """
    if not Path("/proc/self/status").exists():
        return None
    options = ("--engine", engine, "--seed", "1", "--length", str(characters))
    command = python_command(RUN_AND_PRINT_MEMORY, STDIN_NAME, *options)
    with (
        temporary_model_file(content) as model,
        child_process(
            command, deadline, stdin=model, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        ) as process,
    ):
        _, stderr = process.communicate()
    check_exit_code(process.returncode, deadline)
    # Warnings of onnxruntime may precede the last line.
    return int(stderr.splitlines()[-1]) / 1024
