"""End training runs early at random moments, resume them, and compare the results with unbroken runs.

    python -m benchmarks.kills [--ends 50] [--seed 0] [--only gru]

In one half of the runs, SIGKILL ends the process. In the other half, the disk becomes full: no file can grow
beyond a random size, which may be 0. This is a limit of the process, RLIMIT_FSIZE, so the system itself
refuses to write. The processes are forks of one that has imported all that training needs.

Each run is ended early several times, once as a new run and then as a resumed one, after a random part of the
time of the unbroken run. Checkpoints are written after each update, so that many kills interrupt a write. A
run that is complete before its moment counts as "complete". Each time, a checkpoint and a model must be
readable if they are there. With a full disk, a run must end with a line of error, or be complete after
warnings, and leave no temporary file; otherwise it counts as "wrong". torch trains classic, gru and conv.

At the end, the weights, the samples and the metrics except times must be equal to those of the unbroken run,
and no temporary file may remain. The exit code is 1 after any other outcome.
"""

import argparse
import contextlib
import errno
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import onnx
import textgen_runtime as textgen
from textgen_runtime.corpus import CHECKPOINT_FILE, METRICS_FILE
from textgen_train.folder import LOCK_FILE, read_checkpoint

from tests.helpers.processes import ForkedCommand

OUT = "out"
TEXT = "Do re mi fa sol la si do,\nsi la sol fa mi re do.\n"

SMALL = ("--units", "16", "--embedding", "4", "--batch", "16", "--sequence-length", "16", "--threads", "2")
KINDS = {
    "default": ("book.txt", *SMALL, "--epochs", "60"),
    "classic": ("book.txt", "--recipe", "classic", "--units", "16", "--epochs", "6", "--threads", "2"),
    "held-out file": ("book.txt", *SMALL, "--epochs", "30", "--held-out-file", "other.txt"),
    "records": ("list.txt", *SMALL, "--records", "lines", "--epochs", "20"),
    "two layers": ("book.txt", *SMALL, "--layers", "2", "--muon-lr", "0", "--epochs", "20"),
    "bytes": ("book.txt", *SMALL, "--level", "byte", "--epochs", "20"),
    "words": ("book.txt", *SMALL, "--level", "word", "--epochs", "40"),
    "gru": ("book.txt", *SMALL, "--cell", "gru", "--epochs", "20"),
    "conv": ("book.txt", *SMALL, "--cell", "conv", "--epochs", "20"),
}

# How often one run is ended early.
ENDS_PER_RUN = 3
# The largest size of a file on a full disk is below this one, which is about that of a checkpoint.
MAX_ROOM = 2**16
COLUMNS = ("killed", "full disk", "complete", "in a write", "wrong", "equal")


def main(argv: Sequence[str] | None = None) -> int:
    """End runs of every kind early, and print one row per kind."""
    command = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    command.add_argument("--ends", type=int, default=50, help="runs of a kind that are ended (default: 50)")
    command.add_argument("--seed", type=int, default=0, help="seed of the moments (default: 0)")
    command.add_argument("--only", default="", help="run only kinds whose names contain this text")
    arguments = command.parse_args(argv)
    rng = random.Random(arguments.seed)
    os.environ["OMP_NUM_THREADS"] = "1"
    # The first process also waits until the server has imported torch. The next ones are measured.
    train(Path.cwd(), ["--version"])
    print(f"{'':<15}" + "".join(f"{column:>12}" for column in COLUMNS))
    wrong = 0
    for name, options in KINDS.items():
        if arguments.only in name:
            outcomes = end_runs(options, arguments.ends, rng)
            print(f"{name:<15}" + "".join(f"{outcomes[column]:>12}" for column in COLUMNS), flush=True)
            wrong += outcomes["wrong"]
    return int(wrong > 0)


def end_runs(options: Sequence[str], count: int, rng: random.Random) -> Counter[str]:
    """End runs of a kind early this number of times, and count the outcomes."""
    outcomes: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "book.txt").write_text(TEXT * 60, encoding="utf-8")
        (folder / "other.txt").write_text(TEXT * 8, encoding="utf-8")
        (folder / "list.txt").write_text(
            "".join(f"{TEXT[i % 40 :]}{i}\n" for i in range(80)), encoding="utf-8"
        )
        started = time.perf_counter()
        train(folder, [*options, "-o", "unbroken"])
        seconds = time.perf_counter() - started
        expected = results(folder / "unbroken")
        for i in range(1, count + 1):
            end = kill if rng.random() < 0.5 else fill_disk  # noqa: PLR2004
            outcomes.update(end(folder, options, rng.uniform(0.0, seconds), rng))
            outcomes["wrong"] += damages(folder / OUT)
            if i % ENDS_PER_RUN and i < count:
                continue
            train(folder, next_arguments(folder, options))
            is_equal = results(folder / OUT) == expected and not leftovers(folder)
            outcomes["equal" if is_equal else "wrong"] += 1
            for path in (folder / OUT).iterdir():
                path.unlink()
    return outcomes


def next_arguments(folder: Path, options: Sequence[str]) -> list[str]:
    """Return the arguments that resume the run, or start it if it has no checkpoint."""
    if (folder / OUT / CHECKPOINT_FILE).exists():
        return ["--resume", OUT]
    return [*options, "-o", OUT, "--overwrite"]


def run(arguments: list[str]) -> int:
    """Train in a new process, with checkpoints as often as possible, and several evaluations."""
    from textgen_train import train
    from textgen_train.cli import main

    train.CHECKPOINT_SECONDS, train.CHECKPOINT_SHARE, train.SCORING_COST = 0.0, 1e9, 1e-3
    # The samples are more than a pipe can hold.
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
        return main(arguments)


def train(folder: Path, arguments: list[str]) -> None:
    """Train to the end."""
    with ForkedCommand(run, arguments, folder) as process:
        if code := process.wait():
            raise RuntimeError(f"exit code {code}: {process.err.read()}")


def kill(folder: Path, options: Sequence[str], delay: float, _: random.Random) -> list[str]:
    """Start or resume a run, kill it after a delay in seconds, and return the outcomes."""
    with ForkedCommand(run, next_arguments(folder, options), folder) as process:
        with contextlib.suppress(TimeoutError):
            return ["wrong" if process.wait(delay) else "complete"]
        process.send_signal(signal.SIGKILL)
        if (code := process.wait()) != -signal.SIGKILL:
            return ["wrong" if code else "complete"]
    return ["killed", *["in a write"] * bool(leftovers(folder))]


def fill_disk(folder: Path, options: Sequence[str], delay: float, rng: random.Random) -> list[str]:
    """Start or resume a run, limit its files after a delay in seconds, and return the outcome."""
    # Windows does not have this module.
    import resource

    with ForkedCommand(run, next_arguments(folder, options), folder) as process:
        with contextlib.suppress(TimeoutError):
            return ["wrong" if process.wait(delay) else "complete"]
        room = rng.choice((0, rng.randrange(MAX_ROOM)))
        with contextlib.suppress(ProcessLookupError):
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))
        code, errors = process.wait(), process.err.read()
    # torch looks for a folder in which it can write.
    refusals = os.strerror(errno.EFBIG), "No usable temporary directory"
    refused, last = any(text in errors for text in refusals), errors.splitlines()[-1:]
    is_error = code == 1 and refused and last[0].startswith("textgen-train: error: ")
    if not (is_error or code == 0) or "Traceback" in errors or leftovers(folder):
        print(f"exit code {code}, {leftovers(folder)}: {errors}", file=sys.stderr)
        return ["wrong"]
    return ["full disk" if refused else "complete"]


def leftovers(folder: Path) -> list[str]:
    """Return the temporary files of a process that was killed."""
    return [path.name for path in (folder / OUT).glob(".*") if path.name != LOCK_FILE]


def damages(folder: Path) -> int:
    """Return how many of the checkpoint and the model cannot be read."""
    found = 0
    for name, read in (
        (CHECKPOINT_FILE, lambda path: read_checkpoint(path.parent)),
        # The native engine runs no gru or conv.
        ("model.onnx", partial(textgen.load, engine="onnxruntime")),
    ):
        try:
            if (folder / name).exists():
                read(folder / name)
        except textgen.TextgenError as error:
            print(error, file=sys.stderr)
            found += 1
    return found


def results(folder: Path) -> dict[str, Any]:
    """Return the weights, the samples and the metrics of a run, without times."""
    metrics = [json.loads(line) for line in (folder / METRICS_FILE).read_text().splitlines()]
    samples = (folder / "samples.txt").read_text(encoding="utf-8").splitlines()
    return {
        "graph": onnx.load(folder / "model.onnx").graph.SerializeToString(),
        "samples": [line for line in samples if not line.startswith("epoch ")],
        "metrics": [
            {name: value for name, value in entry.items() if "second" not in name} for entry in metrics
        ],
    }


if __name__ == "__main__":
    sys.exit(main())
