"""Compare training with matrix products alone, two threads with one, and a busy machine with an idle one.

    python -m benchmarks.training [--presets small] [--seconds 10]

The share is that of the fastest ``torch.mm`` with the shapes of the preset on one core: the operations of the
products of an update, divided by its time. Products and updates alternate. Each row has its own process,
because the memory that a process has used affects the next measurement.
"""

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from textgen_runtime.bench.report import Section, format_machine, times
from textgen_runtime.bench.rounds import Candidate, calibrate, interleave, medians
from textgen_train.cli._process import keep_freed_memory
from textgen_train.loop.trainer import Trainer
from textgen_train.models.device import has_bfloat16
from textgen_train.presets import PRESETS
from textgen_train.recipe import Budget, Recipe

VOCABULARY = 57
CHARACTERS = 500_000
UPDATES_PER_ROUND = 4
ROUNDS = 5
SPINNERS = 2

FLOAT32, BFLOAT16 = "float32", "bfloat16"

# The variables that limit the libraries of torch to an instruction set.
AVX2 = {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2", "MKL_ENABLE_INSTRUCTIONS": "AVX2"}
INSTRUCTIONS: dict[str, dict[str, str]] = {"avx2": AVX2, "all": {}}


def products(recipe: Recipe, dtype: torch.dtype) -> tuple[list[tuple[int, Callable[[int], None]]], int]:
    """Return the matrix products of an update, each with its operations, and the operations of all.

    The products with the recurrent weights are one for each time step. All others are one for the whole
    sequence: those with the inputs of a layer, and the gradients of the weights.
    """
    steps, batch, units = recipe.sequence_length, recipe.batch, recipe.units
    rows, gates = steps * batch, 4 * units
    shapes = [((rows, units, VOCABULARY), 1), ((rows, VOCABULARY, units), 1), ((VOCABULARY, rows, units), 1)]
    for layer in range(recipe.layers):
        inputs = units if layer else recipe.embedding
        shapes += [((rows, inputs, gates), 1), ((rows, gates, inputs), 1), ((gates, rows, inputs), 1)]
        shapes += [((batch, units, gates), steps), ((batch, gates, units), steps), ((gates, rows, units), 1)]
    made: list[tuple[int, Callable[[int], None]]] = []
    for a, b, c in dict(shapes):
        out = torch.empty(a, c, dtype=dtype)
        product = partial(torch.mm, torch.randn(a, b).to(dtype), torch.randn(b, c).to(dtype), out=out)
        made.append((2 * a * b * c, partial(repeat, product)))
    return made, sum(2 * a * b * c * repeats for (a, b, c), repeats in shapes)


def repeat(call: Callable[[], object], count: int) -> None:
    """Call a function this number of times."""
    for _ in range(count):
        call()


def make_trainer(preset: str, threads: int) -> Trainer:
    """Return a trainer on a random text."""
    text = np.random.default_rng(0).integers(VOCABULARY, size=CHARACTERS)
    return Trainer(text, VOCABULARY, PRESETS[preset], Budget(epochs=1000), seed=0, threads=threads)


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


def speeds(trainers: Sequence[Trainer], seconds: float) -> list[float]:
    """Return the median characters per second of each trainer, in alternating rounds."""
    rounds = [
        [trainer.measure_speed(seconds / ROUNDS / len(trainers)) for trainer in trainers]
        for _ in range(ROUNDS)
    ]
    return [statistics.median(values) for values in zip(*rounds, strict=True)]


def measure(preset: str, precision: str, seconds: float) -> dict[str, Any]:
    """Measure a preset in this process, and return the figures of its row."""
    torch.set_num_threads(1)
    made, operations = products(PRESETS[preset], torch.bfloat16 if precision == BFLOAT16 else torch.float32)
    one, two = make_trainer(preset, 1), make_trainer(preset, 2)
    with contextlib.closing(one.updates()) as updates:
        candidates = {str(i): calibrate(run) for i, (_, run) in enumerate(made)}
        update = Candidate(partial(repeat, partial(next, updates), UPDATES_PER_ROUND), UPDATES_PER_ROUND)
        measured = medians(interleave({"update": update, **candidates}, seconds))
    fastest = max(count / measured[str(i)] for i, (count, _) in enumerate(made))
    idle = speeds((one, two), seconds)
    with spinning(SPINNERS):
        busy = speeds((one, two), seconds)
    return {"rate": operations / measured["update"], "fastest": fastest, "idle": idle, "busy": busy}


def print_table(rows: dict[str, dict[str, Any]]) -> None:
    """Print a line for each preset and precision."""
    cells = [
        (
            name,
            [
                f"{row['rate'] / 1e9:.0f}",
                f"{row['fastest'] / 1e9:.0f}",
                f"{row['rate'] / row['fastest']:.2f}",
                *(f"{speed:,.0f}" for speed in row["idle"]),
                times(row["idle"][1] / row["idle"][0]),
                times(row["busy"][1] / row["busy"][0]),
            ],
        )
        for name, row in rows.items()
    ]
    columns = ["GFLOP/s", "torch.mm", "share", "one thread", "two threads", "gain", "busy"]
    legend = [
        "one thread, two threads: characters per second; gain: two threads / one",
        f"busy: the same with {SPINNERS} spinning processes",
    ]
    print(Section("training", columns, cells, legend))


def main(argv: Sequence[str] | None = None) -> None:
    """Print the table; with ``--row``, print the figures of one row as JSON."""
    command = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    command.add_argument("--presets", nargs="+", choices=PRESETS, default=list(PRESETS), help="default: all")
    command.add_argument("--seconds", type=float, default=10.0, help="duration of a comparison (default: 10)")
    command.add_argument("--row", nargs=2, metavar=("PRESET", "PRECISION"), help=argparse.SUPPRESS)
    arguments = command.parse_args(argv)
    if arguments.row:
        preset, precision = arguments.row
        keep_freed_memory()
        # Without these, a run chooses float32.
        capabilities = torch.cpu.get_capabilities() if precision == BFLOAT16 else {}
        with patch("torch.cpu.get_capabilities", return_value=capabilities):
            print(json.dumps(measure(preset, precision, arguments.seconds)))
        return
    print(f"{format_machine()}, torch {torch.__version__}", flush=True)
    rows = {}
    for preset in arguments.presets:
        for instructions, variables in INSTRUCTIONS.items():
            # torch does not report that it is limited.
            for precision in [FLOAT32, BFLOAT16] if instructions == "all" and has_bfloat16() else [FLOAT32]:
                options = ["--row", preset, precision, "--seconds", str(arguments.seconds)]
                done = subprocess.run(
                    [sys.executable, "-m", "benchmarks.training", *options],
                    env={**os.environ, **variables},
                    stdout=subprocess.PIPE,
                    check=True,
                )
                rows[f"{preset}, {precision}, {instructions}"] = json.loads(done.stdout)
    print_table(rows)


if __name__ == "__main__":
    main()
