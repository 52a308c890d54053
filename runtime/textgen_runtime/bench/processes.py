"""The measurements of fresh processes: cold start and memory."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

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
    """A command line that runs a program in this interpreter.

    Every process that the package starts is started by this command line. It never imports from the working
    folder: a file ``numpy.py`` that lies there would otherwise be executed. The other switches that restrict
    where this process imports from hold for the new one too, so that it finds the same modules.
    """
    switches = ["-P"]
    switches += ["-E"] * sys.flags.ignore_environment
    switches += ["-s"] * sys.flags.no_user_site
    return [sys.executable, *switches, "-c", program, *arguments]


def argument(path: Path) -> str:
    """A model's path as a command takes it: never an option, and never the name of a model that ships."""
    return str(path.absolute())


def cold_start(path: Path, engines: Sequence[str], seconds: float) -> Section:
    """From nothing to the first character, and to 400."""
    contestants = {
        "python -c pass": Contestant(lambda: finished(python("pass")), 1),
        "python -c 'import numpy'": Contestant(lambda: finished(python("import numpy")), 1),
    }
    for engine in engines:
        command = python(RUN, argument(path), "--engine", engine, "--no-echo", "--seed", "1")
        contestants[f"{engine}, first character"] = Contestant(lambda c=command: first_byte(c), 1)  # type: ignore[misc]
        contestants[f"{engine}, 400 characters"] = Contestant(lambda c=command: finished(c), 1)  # type: ignore[misc]
    middle = medians(interleave(contestants, seconds))
    numpy = middle["python -c 'import numpy'"]
    rows = [(name, [f"{each * 1e3:.0f} ms", times(each / numpy)]) for name, each in middle.items()]
    return Section("textgen-run, a fresh process", ["takes", "it / import numpy"], rows, {"seconds": middle})


def finished(command: list[str]) -> None:
    """Run a command to its end.

    Raises:
        ModelFileError: If it fails, so that no failure is timed.
    """
    check(subprocess.run(command, check=False, stdout=subprocess.DEVNULL).returncode)


def check(code: int) -> None:
    """See that a process did what it was to do."""
    if code:
        raise ModelFileError(f"a fresh process that generates from it failed (exit code {code})")


def first_byte(command: list[str]) -> None:
    """Run a command to its first byte of output."""
    with subprocess.Popen([*command, "--length", "100000000"], stdout=subprocess.PIPE) as process:
        first = process.stdout.read(1) if process.stdout is not None else b""
        process.kill()
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
    options = ("--engine", engine, "--seed", "1", "--length", str(characters))
    command = python(MEMORY, argument(path), *options)
    done = subprocess.run(command, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    check(done.returncode)
    # What onnxruntime warns of stands before it.
    return int(done.stderr.splitlines()[-1]) / 1024
