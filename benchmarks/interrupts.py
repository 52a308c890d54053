"""Sends Ctrl-C to each command at random moments, and counts what comes of it.

A moment is drawn uniformly between the launcher's first statement and some time later: half a second, and
seconds for ``textgen-train``, whose import of torch takes that long. The signal goes to the whole process
group, as a terminal sends it. Each command is to end by SIGINT or with exit code 130 (a shell shows both as
130), with nothing on standard error but what textgen-train and textgen-bench tell their user, and with no
process left.
A short run may also have come to its end before. Exits with 1 where anything else was seen.
"""

import argparse
import contextlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PROGRAMS = Path(sys.executable).parent

# Imported by the interpreter before anything else; closes a pipe when the launcher's first statement has run.
WATCH = """
import _signal, os
original = _signal.signal
def signal(*arguments):
    before = original(*arguments)
    _signal.signal = original
    os.close(int(os.environ.pop("WATCHED")))
    return before
if "WATCHED" in os.environ:
    _signal.signal = signal
"""

# How long a command may take to end after the signal.
PATIENCE_SECONDS = 20.0

# What textgen-train tells when a run is interrupted, and textgen-bench on a busy machine.
OWED = (
    b"interrupted",
    b"training characters",
    b"LSTM units",
    b"held out",
    b"textgen-bench: warning: ",
)


@dataclass
class Case:
    """A command, and within how many seconds of its start it is interrupted."""

    arguments: list[str]
    seconds: float = 0.5

    @property
    def name(self) -> str:
        return " ".join(self.arguments)


CASES = [
    Case(["textgen-run", "nietzsche", "--length", "1000000000"]),
    Case(["textgen-run", "nietzsche", "--length", "400"], 0.2),
    Case(["textgen-run", "nietzsche", "--length", "1000000000", "--engine", "onnxruntime"]),
    Case(["textgen-eval", "nietzsche", "long.txt"]),
    Case(["textgen-eval", "nietzsche", "short.txt", "--surprise", "page.html"]),
    Case(["textgen-info", "nietzsche"]),
    Case(["textgen-bench", "nietzsche", "--quick"]),
    Case(["textgen-bench", "nietzsche", "--quick"], 8.0),
    Case(["textgen-train", "short.txt", "--overwrite", "--units", "8"]),
    Case(["textgen-train", "short.txt", "--overwrite", "--units", "8", "--epochs", "3"], 4.0),
]


def main() -> int:
    """Interrupt every command, and print a row for each."""
    command = argparse.ArgumentParser(description=__doc__)
    command.add_argument(
        "--moments",
        type=int,
        default=200,
        help="for each command (default 200), and a fifth of it where they are spread over seconds",
    )
    command.add_argument("--seed", type=int, default=0)
    command.add_argument("--only", default="", help="only commands that contain this text")
    arguments = command.parse_args()
    # What is started in the background has it ignored, and children inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    rng = random.Random(arguments.seed)
    columns = ("by SIGINT", "exit 130", "exit 0", "other exit", "noise", "survivors")
    print(f"{'moments':>8}{'within':>8}" + "".join(f"{column:>11}" for column in columns))
    failed = False
    for case in CASES:
        if arguments.only not in case.name:
            continue
        seen: Counter[str] = Counter()
        moments = max(1, arguments.moments // (5 if case.seconds > 1 else 1))
        for _ in range(moments):
            seen.update(interrupt(case, rng.uniform(0.0, case.seconds)))
        failed |= bool(seen["other exit"] or seen["noise"] or seen["survivors"])
        figures = "".join(f"{seen[column]:>11}" for column in columns)
        print(f"{moments:>8}{case.seconds:>6.1f} s{figures}  {case.name}", flush=True)
    return int(failed)


def interrupt(case: Case, after: float) -> Iterator[str]:
    """Start a command, interrupt it, and tell what was seen."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        (place / "sitecustomize.py").write_text(WATCH, encoding="utf-8")
        (place / "short.txt").write_text("the will to power\n" * 400, encoding="utf-8")
        (place / "long.txt").write_text("the will to power\n" * 400_000, encoding="utf-8")
        reader, writer = os.pipe()
        environment = os.environ | {"PYTHONPATH": folder, "WATCHED": str(writer)}
        with (place / "stderr").open("wb") as stderr:
            process = subprocess.Popen(
                [str(PROGRAMS / case.arguments[0]), *case.arguments[1:]],
                cwd=folder,
                env=environment,
                stdout=subprocess.DEVNULL,
                stderr=stderr,
                pass_fds=[writer],
                start_new_session=True,
            )
        os.close(writer)
        os.read(reader, 1)
        os.close(reader)
        time.sleep(after)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGINT)
        yield from outcome(process)
        lines = (place / "stderr").read_bytes().splitlines()
        if noise := [line for line in lines if not any(owed in line for owed in OWED)]:
            print(f"after {after:.4f} s, {case.name}:", *noise, sep="\n  ", file=sys.stderr)
            yield "noise"


def outcome(process: "subprocess.Popen[bytes]") -> Iterator[str]:
    """How the process ended, and whether it left any of its group behind."""
    try:
        code = process.wait(PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        yield "survivors"
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return
    yield {-signal.SIGINT: "by SIGINT", 130: "exit 130", 0: "exit 0"}.get(code, "other exit")
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
        yield "survivors"


if __name__ == "__main__":
    sys.exit(main())
