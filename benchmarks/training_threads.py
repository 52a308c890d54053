"""Training speed on one thread, with threads inside torch's operations, and with replicas; idle and busy.

python benchmarks/training_threads.py

Whole updates of the presets' networks, in characters a second: medians of rounds that take turns. The busy
rows have two more processes that do nothing but spin. Replicas are what textgen-train uses.
"""

import argparse
import contextlib
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import chain
from time import perf_counter

import numpy as np
import torch
from textgen_runtime.bench.report import Section, times
from textgen_runtime.system.processors import available_processors
from textgen_train.loop.stateful_trainer import StatefulTrainer
from textgen_train.recipe import PRESETS, Budget, Recipe

VOCABULARY = 57
CHARACTERS = 500_000
SPINNERS = 2
ROUNDS = 5
NETWORKS = {
    "144 units, batch 32": PRESETS["small"],
    "144 units, batch 64": replace(PRESETS["small"], batch=64),
    "256 units, batch 32": PRESETS["medium"],
    "512 units, batch 32": replace(PRESETS["large"], layers=1),
    "2 x 512 units, batch 32": PRESETS["large"],
}
ONE, INSIDE, REPLICAS = "one thread", "threads inside operations", "replicas"


def contestant(recipe: Recipe, replicas: int, threads: int) -> Callable[[float], float]:
    """Trains for some seconds and returns the characters a second."""
    text = np.random.default_rng(0).integers(VOCABULARY, size=CHARACTERS)
    trainer = StatefulTrainer(text, VOCABULARY, recipe, Budget(epochs=1), seed=0, threads=replicas)
    batches = chain.from_iterable(trainer._batches() for _ in iter(int, 1))

    def train(seconds: float) -> float:
        torch.set_num_threads(threads)
        characters = 0
        started = perf_counter()
        while perf_counter() - started < seconds:
            inputs, targets = next(batches)
            trainer._learn(inputs, targets, 0.1)
            characters += targets.numel()
        return characters / (perf_counter() - started)

    return train


@contextlib.contextmanager
def spinning(count: int) -> Iterator[None]:
    """Keep some processes busy meanwhile."""
    processes = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def speeds(recipe: Recipe, threads: int, seconds: float) -> dict[str, float]:
    """Each contestant's median, in characters a second."""
    contestants = {
        ONE: contestant(recipe, 1, 1),
        INSIDE: contestant(recipe, 1, threads),
        REPLICAS: contestant(recipe, threads, 1),
    }
    for train in contestants.values():
        train(seconds / 4)
    rounds: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(ROUNDS):
        for name, train in contestants.items():
            rounds[name].append(train(seconds))
    return {name: statistics.median(values) for name, values in rounds.items()}


def main() -> None:
    """Print the table."""
    command = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    command.add_argument("--threads", type=int, default=available_processors())
    command.add_argument("--seconds", type=float, default=1.0, help="of a round")
    command.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    arguments = command.parse_args()
    print(
        f"torch {torch.__version__}, {torch.backends.cpu.get_cpu_capability()}, {arguments.threads} threads"
    )
    for title, spinners in (("idle", 0), (f"busy: {SPINNERS} spinning processes", SPINNERS)):
        rows = []
        for name in arguments.networks:
            with spinning(spinners):
                found = speeds(NETWORKS[name], arguments.threads, arguments.seconds)
            ratios = [times(found[REPLICAS] / found[other]) for other in (ONE, INSIDE)]
            rows.append((name, [f"{each:,.0f}/s" for each in found.values()] + ratios))
        columns = [ONE, INSIDE, REPLICAS, f"{REPLICAS} / {ONE}", f"{REPLICAS} / inside"]
        print(Section(f"training, {title}, characters a second", columns, rows), end="\n\n", flush=True)


if __name__ == "__main__":
    main()
