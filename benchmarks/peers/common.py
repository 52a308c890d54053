"""The arguments and the timing that all peer scripts share. This module imports only the standard library."""

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
    """Parse the sizes of the network and the path of the model file. Each script uses one of both."""
    parser = argparse.ArgumentParser()
    for size in ("layers", "units", "embedding", "vocabulary"):
        parser.add_argument(f"--{size}", type=int, required=True)
    parser.add_argument("--model", required=True)
    return parser.parse_args()


def report(generate: Callable[[int], object], characters: int, versions: str) -> None:
    """Time ``generate(characters)`` after a warm-up, and print the median seconds per character as JSON."""
    generate(max(1, characters // 10))
    seconds = []
    for _ in range(ROUNDS):
        start = perf_counter()
        generate(characters)
        seconds.append((perf_counter() - start) / characters)
    json.dump({"seconds": statistics.median(seconds), "versions": versions}, sys.stdout, allow_nan=False)
