"""Measure training throughput with one thread, with intra-op threads, and with replicas.

python benchmarks/training_threads.py

Each figure is a median over several rounds. A round consists of complete updates, with the forward and
backward pass and the optimizers. The rounds of the three candidates alternate. The second table is measured
while two other processes spin. textgen-train uses replicas.
"""

import argparse
import contextlib
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from time import perf_counter

import numpy as np
import torch
from textgen_runtime.bench.report import Section, times
from textgen_runtime.system.processors import available_processors
from textgen_train.cli._process import keep_freed_memory
from textgen_train.loop.trainer import Trainer
from textgen_train.presets import PRESETS
from textgen_train.recipe import Budget, Recipe

VOCABULARY = 57
CHARACTERS = 500_000
SPINNERS = 2
ROUNDS = 5
NETWORKS = {
    "2 x 88 units, batch 32": PRESETS["small"],
    "2 x 88 units, batch 64": replace(PRESETS["small"], batch=64),
    "2 x 176 units, batch 32": PRESETS["medium"],
    "448 units, batch 32": replace(PRESETS["large"], layers=1),
    "2 x 448 units, batch 32": PRESETS["large"],
}
SINGLE, INTRA_OP, REPLICAS = "one thread", "intra-op threads", "replicas"


def create_candidate(recipe: Recipe, replicas: int, threads: int) -> Callable[[float], float]:
    """Return a function that trains for the given number of seconds and returns its characters/s."""
    text = np.random.default_rng(0).integers(VOCABULARY, size=CHARACTERS)
    trainer = Trainer(text, VOCABULARY, recipe, Budget(epochs=1), seed=0, threads=replicas)
    batches = trainer._later_batches()

    def train(seconds: float) -> float:
        torch.set_num_threads(threads)
        characters = 0
        started = perf_counter()
        while perf_counter() - started < seconds:
            batch = next(batches)
            trainer._learner.update(batch, 0.1)
            characters += batch.count
        return characters / (perf_counter() - started)

    return train


@contextlib.contextmanager
def spinning(count: int) -> Iterator[None]:
    """Run processes that spin during the context."""
    processes = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def throughput(recipe: Recipe, threads: int, seconds: float) -> dict[str, float]:
    """Return the median characters/s of each candidate."""
    candidates = {
        SINGLE: create_candidate(recipe, 1, 1),
        INTRA_OP: create_candidate(recipe, 1, threads),
        REPLICAS: create_candidate(recipe, threads, 1),
    }
    for train in candidates.values():
        train(seconds / 4)
    rounds: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(ROUNDS):
        for name, train in candidates.items():
            rounds[name].append(train(seconds))
    return {name: statistics.median(values) for name, values in rounds.items()}


def main() -> None:
    """Print both tables."""
    command = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    command.add_argument(
        "--threads", type=int, default=available_processors(), help="default: available processors"
    )
    command.add_argument("--seconds", type=float, default=1.0, help="duration of a round (default: 1.0)")
    command.add_argument(
        "--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS), help="default: all"
    )
    arguments = command.parse_args()
    keep_freed_memory()
    threads = f"{arguments.threads} thread{'s' * (arguments.threads > 1)}"
    print(f"torch {torch.__version__}, {torch.backends.cpu.get_cpu_capability()}, {threads}")
    for title, spinners in (("idle machine", 0), (f"with {SPINNERS} spinning processes", SPINNERS)):
        rows = []
        for name in arguments.networks:
            with spinning(spinners):
                measured = throughput(NETWORKS[name], arguments.threads, arguments.seconds)
            ratios = [times(measured[REPLICAS] / measured[other]) for other in (SINGLE, INTRA_OP)]
            rows.append((name, [f"{value:,.0f}" for value in measured.values()] + ratios))
        columns = [SINGLE, INTRA_OP, REPLICAS, f"{REPLICAS} / {SINGLE}", f"{REPLICAS} / {INTRA_OP}"]
        print(Section(f"training, {title}, characters/s", columns, rows), end="\n\n", flush=True)


if __name__ == "__main__":
    main()
