"""End training runs early at random moments, resume them, and compare the results with unbroken runs.

In one half of the runs, SIGKILL ends the process. In the other half, the disk becomes full: no file can grow
beyond a random size, which may be 0. This is a limit of the process, RLIMIT_FSIZE, so the system itself
refuses to write. The processes are forks of one that has imported all that training needs: the imports would
take longer than the training.

Each run is ended early several times: once as a new run, and then as a resumed one. Each of its processes
runs for a random part of the time of the unbroken run, so that some end before the first update and some
during the last evaluation. A run may be complete before its moment: this counts as "ended", not as a kill.
Checkpoints are written after each update, so that many kills interrupt a write. If a new run ends before its
first checkpoint, there is nothing to resume, and it is started again with --overwrite. After the last time,
the run is resumed to its end. Each time, a checkpoint and a model must be complete if they are there. With a
full disk, a run must end with one line that starts with "textgen-train: error: ", or be complete after
warnings, and leave no temporary file. A run that is complete without them needed no more room: this counts as
"ended", too.

At the end, the weights, the samples and the metrics except times must be equal to those of the unbroken run,
and no temporary file may remain. After any other outcome, the exit code of this program is 1.
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
from pathlib import Path
from typing import Any, NamedTuple

import onnx
import textgen_runtime as textgen
from textgen_runtime.corpora.sources import CHECKPOINT_FILE, METRICS_FILE
from textgen_train.loop.checkpoint_file import read_checkpoint
from textgen_train.loop.output_folder import LOCK_FILE

from tests.helpers.processes import ForkedCommand

OUT = "out"

TEXT = "Do re mi fa sol la si do,\nsi la sol fa mi re do.\n"

SMALL = ("--units", "16", "--embedding", "4", "--batch", "16", "--sequence-length", "16", "--threads", "2")


class Kind(NamedTuple):
    """A kind of run: its name, and its arguments."""

    name: str
    arguments: tuple[str, ...]


KINDS = (
    Kind("default", ("book.txt", *SMALL, "--epochs", "30")),
    Kind("classic", ("book.txt", "--recipe", "classic", "--units", "16", "--epochs", "6", "--threads", "2")),
    Kind("held-out file", ("book.txt", *SMALL, "--epochs", "30", "--held-out-file", "other.txt")),
    Kind("records", ("list.txt", *SMALL, "--records", "lines", "--epochs", "20")),
    Kind("two layers", ("book.txt", *SMALL, "--layers", "2", "--muon-lr", "0", "--epochs", "20")),
    Kind("bytes", ("book.txt", *SMALL, "--level", "byte", "--epochs", "20")),
    Kind("words", ("book.txt", *SMALL, "--level", "word", "--epochs", "40")),
    Kind("gru", ("book.txt", *SMALL, "--cell", "gru", "--epochs", "20")),
    Kind("conv", ("book.txt", *SMALL, "--cell", "conv", "--epochs", "20")),
)

# How often one run is ended early.
ENDS_PER_RUN = 3

# The largest size of a file on a full disk is below this one, which is about that of a checkpoint.
MAX_ROOM = 2**16

KILLED, FULL = ("kills", "starting", "training", "in a write"), ("full disks", "error", "complete")
COLUMNS = (*KILLED, *FULL, "ended", "damaged", "different", "equal")


def main() -> int:
    """End runs of every kind early, and print one row per kind."""
    command = argparse.ArgumentParser(description=__doc__)
    command.add_argument(
        "--kills", type=int, default=50, help="number of kills, and of full disks (default: 50)"
    )
    command.add_argument("--seed", type=int, default=0, help="seed of the moments (default: 0)")
    command.add_argument("--only", default="", help="run only kinds whose names contain this text")
    arguments = command.parse_args()
    rng = random.Random(arguments.seed)
    os.environ["OMP_NUM_THREADS"] = "1"
    kinds = [kind for kind in KINDS if arguments.only in kind.name]
    # The first process also waits until the server has imported torch. The next ones are measured.
    finish(Path.cwd(), ["--version"])
    print(f"{'':<15}" + "".join(f"{column:>12}" for column in COLUMNS))
    total: Counter[str] = Counter()
    for i, kind in enumerate(kinds):
        count = arguments.kills * (i + 1) // len(kinds) - arguments.kills * i // len(kinds)
        outcomes = end_runs(kind, count, rng)
        print(f"{kind.name:<15}" + "".join(f"{outcomes[column]:>12}" for column in COLUMNS), flush=True)
        total.update(outcomes)
    print(f"{'all':<15}" + "".join(f"{total[column]:>12}" for column in COLUMNS))
    return int(bool(total["damaged"] or total["different"]))


def end_runs(kind: Kind, count: int, rng: random.Random) -> Counter[str]:
    """End runs of a kind early, this number of times in each way, and count the outcomes."""
    outcomes: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "book.txt").write_text(TEXT * 60, encoding="utf-8")
        (folder / "other.txt").write_text(TEXT * 8, encoding="utf-8")
        (folder / "list.txt").write_text(
            "".join(f"{TEXT[i % 40 :]}{i}\n" for i in range(80)), encoding="utf-8"
        )
        started = time.perf_counter()
        finish(folder, [*kind.arguments, "-o", "unbroken"])
        seconds = time.perf_counter() - started
        expected = results(folder / "unbroken")
        for end_early, way in ((kill, "kills"), (fill_disk, "full disks")):
            while outcomes[way] < count:
                for _ in range(min(count - outcomes[way], ENDS_PER_RUN)):
                    found = end_early(folder, kind, rng.uniform(0.0, seconds), rng)
                    outcomes.update([*found, *damages(folder / OUT)])
                    if "ended" in found:
                        break
                finish(folder, next_arguments(folder, kind))
                equal = results(folder / OUT) == expected and not abandoned(folder)
                outcomes["equal" if equal else "different"] += 1
                for path in (folder / OUT).iterdir():
                    path.unlink()
    return outcomes


def next_arguments(folder: Path, kind: Kind) -> list[str]:
    """Return the arguments that resume the run, or start it if it has no checkpoint."""
    if (folder / OUT / CHECKPOINT_FILE).exists():
        return ["--resume", OUT]
    return [*kind.arguments, "-o", OUT, "--overwrite"]


def train(arguments: list[str]) -> int:
    """Train in a new process, with checkpoints as often as possible, and several evaluations."""
    from textgen_train.cli.train import main
    from textgen_train.loop import checkpoint_file, eval_schedule

    checkpoint_file.MIN_SECONDS_BETWEEN, checkpoint_file.MAX_FRACTION = 0.0, 1.0
    eval_schedule.MIN_UPDATES_BETWEEN, eval_schedule.TRAINING_COST_RATIO = 60, 1e9
    # The samples are more than a pipe can hold.
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
        return main(arguments)


def finish(folder: Path, arguments: list[str]) -> None:
    """Train to the end."""
    with ForkedCommand(train, arguments, folder) as process:
        ended(process)


def outlasts(process: ForkedCommand, delay: float) -> bool:
    """Whether a process still runs after this many seconds. It must not have failed before."""
    try:
        process.wait(delay)
    except TimeoutError:
        return True
    ended(process)
    return False


def ended(process: ForkedCommand, other: int = 0) -> bool:
    """Wait for a process, and return whether its exit code is 0. Codes but 0 and ``other`` are errors."""
    if (code := process.wait()) not in {0, other}:
        raise RuntimeError(f"exit code {code}: {process.err.read()}")
    return code == 0


def kill(folder: Path, kind: Kind, delay: float, _: random.Random) -> list[str]:
    """Start or resume a run, kill it after a delay in seconds, and return the outcomes."""
    path = folder / OUT / CHECKPOINT_FILE
    before = path.stat().st_mtime_ns if path.exists() else None
    arguments = next_arguments(folder, kind)
    with ForkedCommand(train, arguments, folder) as process:
        if not outlasts(process, delay):
            return ["ended"]
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGKILL)
        if ended(process, -signal.SIGKILL):
            return ["ended"]
    after = path.stat().st_mtime_ns if path.exists() else None
    moment = "starting" if before == after else "training"
    return ["kills", "in a write" if abandoned(folder) else moment]


def fill_disk(folder: Path, kind: Kind, delay: float, rng: random.Random) -> list[str]:
    """Start or resume a run, limit its files after a delay in seconds, and return the outcomes."""
    # Windows does not have this module.
    import resource

    with ForkedCommand(train, next_arguments(folder, kind), folder) as process:
        if not outlasts(process, delay):
            return ["ended"]
        room = rng.choice((0, rng.randrange(MAX_ROOM)))
        try:
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))
        except ProcessLookupError:
            ended(process)
            return ["ended"]
        code = process.wait()
        errors = process.err.read()
    *_, last = errors.splitlines() or [""]
    reason = os.strerror(errno.EFBIG)
    is_error = last.startswith("textgen-train: error: ") and reason in last and code == 1
    if not (is_error or code == 0) or "Traceback" in errors or abandoned(folder):
        files = sorted(path.name for path in (folder / OUT).glob("*"))
        print(f"exit code {code}, {files}: {errors}", file=sys.stderr)
        return ["full disks", "damaged"]
    if reason not in errors:
        return ["ended"]
    return ["full disks", "error" if is_error else "complete"]


def abandoned(folder: Path) -> bool:
    """Whether a killed process has left a temporary file."""
    return any(path.name.startswith(".") and path.name != LOCK_FILE for path in (folder / OUT).glob("*"))


def damages(folder: Path) -> list[str]:
    """Return "damaged" for each damaged checkpoint or model."""
    found = []
    for path, check in (
        (folder / CHECKPOINT_FILE, lambda path: read_checkpoint(path).state()),
        (folder / "model.onnx", textgen.load),
    ):
        try:
            if path.exists():
                check(path)
        except textgen.TextgenError as error:
            print(error, file=sys.stderr)
            found.append("damaged")
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
