"""Interrupt each command at random times, and count the outcomes.

    python -m benchmarks.interrupts [--repeats 200] [--seed 0] [--only textgen-run]

The time is uniform between the first statement of the launcher and a limit: half a second, or several seconds
for textgen-train, because importing torch takes that long. SIGINT is sent to the process group, as by a
terminal. A command may end by SIGINT, with exit code 130, or with exit code 0 if it ended before the signal.
Standard error must contain only regular messages of textgen-train, and no process may remain. After any other
outcome, the exit code of this program is 1.
"""

import argparse
import contextlib
import os
import random
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from time import sleep

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

# Parts of regular messages of textgen-train.
EXPECTED_STDERR = (b"interrupted", b"training characters", b"LSTM units", b"held-out loss", b"hint: ")

# Command -> the maximum number of seconds before it is interrupted.
CASES = {
    "textgen-run nietzsche --length 1000000000": 0.5,
    "textgen-run nietzsche --length 400": 0.2,
    "textgen-run nietzsche --count 1000000 --length 40 --unique --json": 0.5,
    "textgen-run nietzsche --length 1000000000 --engine onnxruntime": 0.5,
    "textgen-eval nietzsche long.txt": 0.5,
    "textgen-eval nietzsche short.txt --surprise page.html": 0.5,
    "textgen-info nietzsche": 0.5,
    "textgen-bench nietzsche --seconds 0.2": 4.0,
    "textgen-quantize nietzsche-float32 -o small.onnx --overwrite": 0.5,
    "textgen-train short.txt --overwrite --units 8": 0.5,
    "textgen-train short.txt --overwrite --units 8 --epochs 3": 4.0,
}
COLUMNS = ("by SIGINT", "exit 130", "exit 0", "wrong")


def main(argv: Sequence[str] | None = None) -> int:
    """Interrupt every command, and print one row per command."""
    command = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    command.add_argument("--repeats", type=int, default=200, help="a fifth if the limit is above one second")
    command.add_argument("--seed", type=int, default=0, help="seed of the delays (default: 0)")
    command.add_argument("--only", default="", help="run only commands that contain this text")
    arguments = command.parse_args(argv)
    # A shell ignores SIGINT in background processes. Without this line, the commands would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    rng = random.Random(arguments.seed)
    print(f"{'within':>8}" + "".join(f"{column:>11}" for column in COLUMNS))
    wrong = 0
    for line, seconds in CASES.items():
        if arguments.only in line:
            runs = max(1, arguments.repeats // (5 if seconds > 1 else 1))
            outcomes = Counter(interrupt(line.split(), rng.uniform(0.0, seconds)) for _ in range(runs))
            figures = "".join(f"{outcomes[column]:>11}" for column in COLUMNS)
            print(f"{seconds:>6.1f} s{figures}  {line}", flush=True)
            wrong += outcomes["wrong"]
    return int(wrong > 0)


def interrupt(words: Sequence[str], delay: float) -> str:
    """Start a command, interrupt it after a delay in seconds, and return the outcome."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "sitecustomize.py").write_text(SITECUSTOMIZE, encoding="utf-8")
        (folder / "short.txt").write_text("the will to power\n" * 400, encoding="utf-8")
        (folder / "long.txt").write_text("the will to power\n" * 400_000, encoding="utf-8")
        reader, writer = os.pipe()
        process = subprocess.Popen(
            [str(Path(sys.executable).with_name(words[0])), *words[1:]],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": name, "LAUNCHER_PIPE": str(writer)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            pass_fds=[writer],
            start_new_session=True,
        )
        os.close(writer)
        os.read(reader, 1)
        os.close(reader)
        sleep(delay)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGINT)
        stderr = b""
        with contextlib.suppress(subprocess.TimeoutExpired):
            _, stderr = process.communicate(timeout=TIMEOUT_SECONDS)
        # No process of the group may remain.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            stderr += b"a process still runs"
    unexpected = [
        line for line in stderr.splitlines() if line and not any(part in line for part in EXPECTED_STDERR)
    ]
    outcome = {-signal.SIGINT: "by SIGINT", 130: "exit 130", 0: "exit 0"}.get(process.returncode, "wrong")
    if unexpected or outcome == "wrong":
        print(f"{' '.join(words)}, {delay:.3f} s, {process.returncode}: {unexpected}", file=sys.stderr)
        return "wrong"
    return outcome


if __name__ == "__main__":
    sys.exit(main())
