"""Kill training runs at random moments, resume them, and compare the results with those of unbroken runs.

Each run is killed by SIGKILL several times: once in a new run, and then in resumed ones. The moments are
uniform over the time that a process takes, so that some are before the first update and some during the
last evaluation. A process that ends before its moment is not counted as a kill. Checkpoints are written
after each update, so that many kills interrupt a write. If a new run is killed before its first checkpoint,
there is nothing to resume, and it is started again with --overwrite. After the last kill, the run is
resumed to its end. After each kill, a checkpoint and a model must be complete if they are there.

At the end, the weights, the samples and the metrics except times must be equal to those of a run that was not
killed, and no temporary file may remain. After any other outcome, the exit code of this program is 1.
"""

import argparse
import contextlib
import json
import os
import random
import signal
import subprocess
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

OUT = "out"

# A run that writes checkpoints as often as possible, and has several evaluations.
PROGRAM = """
import sys
from textgen_train.loop import checkpoint_file, eval_schedule
checkpoint_file.MIN_SECONDS_BETWEEN, checkpoint_file.MAX_FRACTION = 0.0, 1.0
eval_schedule.MIN_UPDATES_BETWEEN, eval_schedule.TRAINING_COST_RATIO = 60, 1e9
from textgen_train.cli.train import main
sys.exit(main())
"""

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

# The number of kills of one run.
KILLS_PER_RUN = 3


def main() -> int:
    """Kill runs of every kind, and print one row per kind."""
    command = argparse.ArgumentParser(description=__doc__)
    command.add_argument("--kills", type=int, default=50, help="number of kills (default: 50)")
    command.add_argument("--seed", type=int, default=0, help="seed of the moments (default: 0)")
    command.add_argument("--only", default="", help="run only kinds whose names contain this text")
    arguments = command.parse_args()
    rng = random.Random(arguments.seed)
    kinds = [kind for kind in KINDS if arguments.only in kind.name]
    columns = ("kills", "starting", "training", "in a write", "ended", "damaged", "different", "equal")
    print(f"{'':<15}" + "".join(f"{column:>12}" for column in columns))
    total: Counter[str] = Counter()
    for i, kind in enumerate(kinds):
        kills = arguments.kills * (i + 1) // len(kinds) - arguments.kills * i // len(kinds)
        outcomes = kill_runs(kind, kills, rng)
        print(f"{kind.name:<15}" + "".join(f"{outcomes[column]:>12}" for column in columns), flush=True)
        total.update(outcomes)
    print(f"{'all':<15}" + "".join(f"{total[column]:>12}" for column in columns))
    return int(bool(total["damaged"] or total["different"]))


def kill_runs(kind: Kind, kills: int, rng: random.Random) -> Counter[str]:
    """Kill runs of a kind this number of times, and count the outcomes."""
    outcomes: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "book.txt").write_text(TEXT * 60, encoding="utf-8")
        (folder / "other.txt").write_text(TEXT * 8, encoding="utf-8")
        (folder / "list.txt").write_text(
            "".join(f"{TEXT[i % 40 :]}{i}\n" for i in range(600)), encoding="utf-8"
        )
        started = time.perf_counter()
        finish(folder, [*kind.arguments, "-o", "unbroken"])
        seconds = time.perf_counter() - started
        expected = results(folder / "unbroken")
        while outcomes["kills"] < kills:
            for _ in range(min(kills - outcomes["kills"], KILLS_PER_RUN)):
                started = time.perf_counter()
                found = kill(folder, kind, rng.uniform(0.0, seconds))
                outcomes.update(found)
                if "ended" in found:
                    # A resumed process takes less time than the unbroken one.
                    seconds = time.perf_counter() - started
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


def start(folder: Path, arguments: list[str]) -> "subprocess.Popen[bytes]":
    """Start a process that trains."""
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *arguments],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )


def finish(folder: Path, arguments: list[str]) -> None:
    """Train to the end."""
    with start(folder, arguments) as process:
        _, err = process.communicate()
    if process.returncode:
        raise RuntimeError(err.decode())


def kill(folder: Path, kind: Kind, delay: float) -> list[str]:
    """Start or resume a run, kill it after a delay in seconds, and return the outcomes."""
    path = folder / OUT / CHECKPOINT_FILE
    before = path.stat().st_mtime_ns if path.exists() else None
    with start(folder, next_arguments(folder, kind)) as process:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=delay)
        process.kill()
        process.communicate()
    if process.returncode != -signal.SIGKILL:
        return ["ended", *damages(folder / OUT)]
    after = path.stat().st_mtime_ns if path.exists() else None
    moment = "starting" if before == after else "training"
    return ["kills", "in a write" if abandoned(folder) else moment, *damages(folder / OUT)]


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
