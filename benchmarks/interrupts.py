"""Interrupt each command at random times, and count the outcomes.

The time is uniform between the first statement of the launcher and a limit: half a second, or several seconds
for textgen-train, because importing torch takes that long. SIGINT is sent to the process group, as by a
terminal. A command may end by SIGINT, with exit code 130, or with exit code 0 if it ended before the signal.
Standard error must contain only regular messages of textgen-train and textgen-bench, and no process may
remain. After any other outcome, the exit code of this program is 1.
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

# A sitecustomize module. It closes a pipe after the first statement of the launcher, so that this program
# knows when the delay begins.
SITECUSTOMIZE = """
import _signal, os
original = _signal.signal
def signal(*arguments):
    previous = original(*arguments)
    _signal.signal = original
    os.close(int(os.environ.pop("LAUNCHER_PIPE")))
    return previous
if "LAUNCHER_PIPE" in os.environ:
    _signal.signal = signal
"""

# Maximum time between the signal and the end of the command.
TIMEOUT_SECONDS = 20.0

# Parts of regular messages: those of an interrupted textgen-train, and a warning of textgen-bench on a busy
# machine.
EXPECTED_STDERR = (
    b"interrupted",
    b"training characters",
    b"LSTM units",
    b"held-out loss",
    b"textgen-bench: warning: ",
)


@dataclass
class Case:
    """A command, and the maximum number of seconds before it is interrupted."""

    arguments: list[str]
    seconds: float = 0.5

    @property
    def name(self) -> str:
        return " ".join(self.arguments)


CASES = [
    Case(["textgen-run", "nietzsche", "--length", "1000000000"]),
    Case(["textgen-run", "nietzsche", "--length", "400"], 0.2),
    Case(["textgen-run", "nietzsche", "--count", "1000000", "--until-newline", "--unique", "--json"]),
    Case(["textgen-run", "nietzsche", "--length", "1000000000", "--engine", "onnxruntime"]),
    Case(["textgen-eval", "nietzsche", "long.txt"]),
    Case(["textgen-eval", "nietzsche", "short.txt", "--surprise", "page.html"]),
    Case(["textgen-info", "nietzsche"]),
    Case(["textgen-bench", "nietzsche", "--quick"]),
    Case(["textgen-bench", "nietzsche", "--quick"], 8.0),
    Case(["textgen-quantize", "nietzsche-float32", "-o", "small.onnx", "--overwrite"]),
    Case(["textgen-train", "short.txt", "--overwrite", "--units", "8"]),
    Case(["textgen-train", "short.txt", "--overwrite", "--units", "8", "--epochs", "3"], 4.0),
]


def main() -> int:
    """Interrupt every command, and print one row per command."""
    command = argparse.ArgumentParser(description=__doc__)
    command.add_argument(
        "--repeats",
        type=int,
        default=200,
        help="runs per command (default: 200); a fifth of that if the limit is above one second",
    )
    command.add_argument("--seed", type=int, default=0, help="seed of the delays (default: 0)")
    command.add_argument("--only", default="", help="run only commands that contain this text")
    arguments = command.parse_args()
    # A shell ignores SIGINT in background processes. Without this line, the commands would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    rng = random.Random(arguments.seed)
    columns = ("by SIGINT", "exit 130", "exit 0", "other exit", "stderr", "survivors")
    print(f"{'runs':>8}{'within':>8}" + "".join(f"{column:>11}" for column in columns))
    failed = False
    for case in CASES:
        if arguments.only not in case.name:
            continue
        outcomes: Counter[str] = Counter()
        runs = max(1, arguments.repeats // (5 if case.seconds > 1 else 1))
        for _ in range(runs):
            outcomes.update(interrupt(case, rng.uniform(0.0, case.seconds)))
        failed |= bool(outcomes["other exit"] or outcomes["stderr"] or outcomes["survivors"])
        figures = "".join(f"{outcomes[column]:>11}" for column in columns)
        print(f"{runs:>8}{case.seconds:>6.1f} s{figures}  {case.name}", flush=True)
    return int(failed)


def interrupt(case: Case, delay: float) -> Iterator[str]:
    """Start a command, interrupt it after a delay in seconds, and yield the outcomes."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "sitecustomize.py").write_text(SITECUSTOMIZE, encoding="utf-8")
        (folder / "short.txt").write_text("the will to power\n" * 400, encoding="utf-8")
        (folder / "long.txt").write_text("the will to power\n" * 400_000, encoding="utf-8")
        reader, writer = os.pipe()
        environment = os.environ | {"PYTHONPATH": name, "LAUNCHER_PIPE": str(writer)}
        with (folder / "stderr").open("wb") as stderr:
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
        time.sleep(delay)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGINT)
        yield from outcome(process)
        lines = (folder / "stderr").read_bytes().splitlines()
        if unexpected := [line for line in lines if not any(text in line for text in EXPECTED_STDERR)]:
            print(f"after {delay:.4f} s, {case.name}:", *unexpected, sep="\n  ", file=sys.stderr)
            yield "stderr"


def outcome(process: "subprocess.Popen[bytes]") -> Iterator[str]:
    """Yield how the process ended, and "survivors" if a process of its group remains."""
    try:
        code = process.wait(TIMEOUT_SECONDS)
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
