"""What the peers share: the task's sizes, and how a loop is timed. Standard library only."""

import argparse
import json
import statistics
import sys
from collections.abc import Callable
from time import perf_counter

WINDOW = 60
TEMPERATURE = 0.5
ROUNDS = 5


def arguments() -> argparse.Namespace:
    """The task: a model of these sizes, and its file for those who read one."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--units", type=int, default=128)
    parser.add_argument("--vocabulary", type=int, default=57)
    parser.add_argument("--model", default="")
    return parser.parse_args()


def report(generate: Callable[[int], object], characters: int, versions: str) -> None:
    """Time ``generate(characters)`` after a warm-up, and print the median as JSON."""
    generate(max(1, characters // 10))
    times = []
    for _ in range(ROUNDS):
        start = perf_counter()
        generate(characters)
        times.append((perf_counter() - start) / characters)
    json.dump({"seconds": statistics.median(times), "versions": versions}, sys.stdout, allow_nan=False)
