"""Compare training with its matrix products alone, and show where the time of an update goes.

python benchmarks/training_roofline.py

The products are made by ``torch.mm`` with the shapes of the preset, on the same core. The products with the
recurrent weights are one call for each time step. All others are one call for the whole sequence: those with
the inputs of a layer, and the gradients of the weights. Products and updates alternate. Each row has its own
process, because the memory that a process has used affects the next measurement.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from time import perf_counter
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from textgen_runtime.bench.report import Section, times
from textgen_runtime.bench.rounds import Candidate, calibrate, interleave, medians
from textgen_train.cli._process import keep_freed_memory
from textgen_train.loop import learner, trainer
from textgen_train.models import cells, network
from textgen_train.models.device import has_bfloat16
from textgen_train.presets import PRESETS
from textgen_train.recipe import Budget, Recipe

VOCABULARY = 57
CHARACTERS = 500_000
UPDATES_PER_ROUND = 4

FLOAT32, BFLOAT16 = "float32", "bfloat16"

# The variables that limit the libraries of torch to an instruction set.
AVX2 = {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2", "MKL_ENABLE_INSTRUCTIONS": "AVX2"}
INSTRUCTIONS: dict[str, dict[str, str]] = {"avx2": AVX2, "all": {}}

FORWARD, BACKWARD, OUTPUT = "forward", "backward", "output and loss"
MASKS, OPTIMIZERS, BETWEEN = "dropout masks", "optimizers", "between"
PARTS = (FORWARD, BACKWARD, OUTPUT, MASKS, OPTIMIZERS, BETWEEN)


class Stopwatch:
    """Adds up the time of the parts of an update. The time of a part within another one counts once."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = dict.fromkeys(PARTS, 0.0)
        self._running = [BETWEEN]
        self._since = perf_counter()

    def _change(self, change: Callable[[], object]) -> None:
        now = perf_counter()
        self.seconds[self._running[-1]] += now - self._since
        self._since = now
        change()

    def timed(self, part: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function, whose time counts towards a part."""

        def call_timed(*arguments: Any, **options: Any) -> Any:
            self._change(lambda: self._running.append(part))
            try:
                return call(*arguments, **options)
            finally:
                self._change(self._running.pop)

        return call_timed

    def lap(self) -> dict[str, float]:
        """Return the seconds of each part since the last call."""
        self._change(lambda: None)
        seconds, self.seconds = self.seconds, dict.fromkeys(PARTS, 0.0)
        return seconds


@contextmanager
def timing(trained: trainer.Trainer) -> Iterator[Stopwatch]:
    """Count the time of the parts of the updates of a trainer with one replica."""
    watch = Stopwatch()
    targets: list[tuple[object, str, str]] = [
        (trained.model, "_run_layer", FORWARD),
        (torch.autograd, "grad", BACKWARD),
        (learner, "penalized_loss", OUTPUT),
        (cells, "dropout", MASKS),
        (network, "dropout", MASKS),
        (torch.nn.utils, "clip_grad_norm_", OPTIMIZERS),
        *((optimizer, "step", OPTIMIZERS) for optimizer in trained._optimizers),
    ]
    with ExitStack() as stack:
        for owner, name, part in targets:
            stack.enter_context(patch.object(owner, name, watch.timed(part, getattr(owner, name))))
        yield watch


def products(recipe: Recipe, dtype: torch.dtype) -> dict[str, list[tuple[int, Callable[[], object]]]]:
    """Return the matrix products of an update by part, each as a count and a function that makes one."""
    rows, units = recipe.batch * recipe.sequence_length, recipe.units

    def product(count: int, inner: int, columns: int) -> Callable[[], object]:
        first, second = torch.randn(count, inner).to(dtype), torch.randn(columns, inner).to(dtype).t()
        result = torch.empty(count, columns, dtype=dtype)
        return lambda: torch.mm(first, second, out=result)

    parts: dict[str, list[tuple[int, Callable[[], object]]]] = {FORWARD: [], BACKWARD: [], OUTPUT: []}
    for layer in range(recipe.layers):
        inputs, gates = units if layer else recipe.embedding, 4 * units
        parts[FORWARD] += [
            (1, product(rows, inputs, gates)),
            (recipe.sequence_length, product(recipe.batch, units, gates)),
        ]
        parts[BACKWARD] += [
            (1, product(rows, gates, inputs)),
            (1, product(gates, rows, inputs)),
            (recipe.sequence_length, product(recipe.batch, gates, units)),
            (1, product(gates, rows, units)),
        ]
    parts[OUTPUT] += [
        (1, product(rows, units, VOCABULARY)),
        (1, product(rows, VOCABULARY, units)),
        (1, product(VOCABULARY, rows, units)),
    ]
    return parts


def layer_operations(recipe: Recipe) -> int:
    """Return the operations of the layers in a forward pass. A backward pass has twice as many."""
    inputs = recipe.embedding + recipe.units * (2 * recipe.layers - 1)
    return 2 * 4 * recipe.units * inputs * recipe.batch * recipe.sequence_length


def create_trainer(recipe: Recipe, threads: int) -> trainer.Trainer:
    text = np.random.default_rng(0).integers(VOCABULARY, size=CHARACTERS)
    return trainer.Trainer(text, VOCABULARY, recipe, Budget(epochs=1000), seed=0, threads=threads)


def repeat(call: Callable[[], object], count: int) -> None:
    for _ in range(count):
        call()


def measure(name: str, precision: str, threads: int, seconds: float) -> dict[str, Any]:
    """Measure a preset, and return the figures of its row. Times are in seconds per update."""
    recipe = PRESETS[name]
    dtype = torch.bfloat16 if precision == BFLOAT16 else torch.float32
    laps: list[dict[str, float]] = []
    trained = create_trainer(recipe, 1)
    updates = trained.updates()
    next(updates)

    def update(count: int) -> None:
        for _ in range(count):
            watch.lap()
            next(updates)
            laps.append(watch.lap())

    with timing(trained) as watch:
        candidates = {"update": Candidate(lambda: update(UPDATES_PER_ROUND), UPDATES_PER_ROUND)}
        made = products(recipe, dtype)
        for part, calls in made.items():
            for i, (_, call) in enumerate(calls):
                candidates[f"{part} {i}"] = calibrate(partial(repeat, call))
        laps.clear()
        before = resource.getrusage(resource.RUSAGE_SELF)
        measured = medians(interleave(candidates, seconds))
        after = resource.getrusage(resource.RUSAGE_SELF)
    single, several = create_trainer(recipe, 1), create_trainer(recipe, threads)
    rates: dict[str, list[float]] = {"one": [], "all": []}
    for _ in range(5):
        for key, rated in (("one", single), ("all", several)):
            rates[key].append(rated.measure_speed(seconds / 10))
    return {
        "parts": {part: statistics.median(lap[part] for lap in laps) for part in PARTS},
        "update": measured["update"],
        "products": {
            part: sum(count * measured[f"{part} {i}"] for i, (count, _) in enumerate(calls))
            for part, calls in made.items()
        },
        "system": (after.ru_stime - before.ru_stime) / len(laps),
        "faults": (after.ru_minflt - before.ru_minflt) / len(laps),
        "operations": layer_operations(recipe),
        "one": statistics.median(rates["one"]),
        "all": statistics.median(rates["all"]),
    }


def print_tables(rows: dict[str, dict[str, Any]], threads: int) -> None:
    """Print the shares of the limit, the parts of an update, and the speed."""

    def milliseconds(seconds: float) -> str:
        return f"{1e3 * seconds:.2f} ms"

    shares, parts, speeds = [], [], []
    for name, row in rows.items():
        compared = []
        for part, factor in ((FORWARD, 1), (BACKWARD, 2)):
            spent, limit = row["parts"][part], row["products"][part]
            rate = factor * row["operations"] / 1e9
            compared += [f"{rate / spent:.0f}", f"{rate / limit:.0f}", f"{limit / spent:.2f}"]
        spent = row["parts"][FORWARD] + row["parts"][BACKWARD]
        limit = row["products"][FORWARD] + row["products"][BACKWARD]
        possible = row["update"] / (row["update"] - spent + limit)
        shares.append((name, [*compared, times(possible)]))
        parts.append(
            (
                name,
                [
                    *(milliseconds(row["parts"][part]) for part in PARTS),
                    milliseconds(row["update"]),
                    milliseconds(row["system"]),
                    f"{row['faults']:,.0f}",
                ],
            )
        )
        share = sum(row["products"].values()) / row["update"]
        speeds.append(
            (
                name,
                [f"{row['one']:,.0f}", f"{row['all']:,.0f}", times(row["all"] / row["one"]), f"{share:.2f}"],
            )
        )
    print(
        Section(
            "layers, one thread, GFLOP/s",
            ["forward", "torch.mm", "share", "backward", "torch.mm", "share", "update, at most"],
            shares,
            legend=["update, at most: how much faster an update would be with layers as fast as torch.mm"],
        ),
        Section(
            "parts of an update, one thread",
            [*PARTS, "update", "system", "page faults"],
            parts,
            legend=["system: time of the operating system in this update, mostly for page faults"],
        ),
        Section(
            "training, characters/s",
            ["one thread", f"{threads} threads", "gain", "products / update"],
            speeds,
        ),
        sep="\n\n",
    )


def parse_arguments() -> argparse.Namespace:
    command = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    command.add_argument("--presets", nargs="+", choices=PRESETS, default=list(PRESETS), help="default: all")
    command.add_argument(
        "--instructions", nargs="+", choices=INSTRUCTIONS, default=list(INSTRUCTIONS), help="default: both"
    )
    command.add_argument("--threads", type=int, default=2, help="default: 2")
    command.add_argument("--seconds", type=float, default=10.0, help="duration of a row (default: 10.0)")
    command.add_argument("--row", nargs=2, metavar=("PRESET", "PRECISION"), help=argparse.SUPPRESS)
    return command.parse_args()


def main() -> None:
    """Print the tables; with ``--row``, print the figures of one row as JSON."""
    arguments = parse_arguments()
    if arguments.row:
        name, precision = arguments.row
        keep_freed_memory()
        capabilities = torch.cpu.get_capabilities() if precision == BFLOAT16 else {}
        with patch("torch.cpu.get_capabilities", return_value=capabilities):
            print(json.dumps(measure(name, precision, arguments.threads, arguments.seconds)))
        return
    rows = {}
    for name in arguments.presets:
        for instructions in arguments.instructions:
            # torch does not report that it is limited.
            precisions = [FLOAT32, BFLOAT16] if instructions == "all" and has_bfloat16() else [FLOAT32]
            for precision in precisions:
                command = [sys.executable, __file__, "--row", name, precision]
                command += ["--threads", str(arguments.threads), "--seconds", str(arguments.seconds)]
                environment = {**os.environ, **INSTRUCTIONS[instructions]}
                output = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True).stdout
                rows[f"{name}, {precision}, {instructions}"] = json.loads(output)
    print(f"torch {torch.__version__}, {torch.backends.cpu.get_cpu_capability()}")
    print_tables(rows, arguments.threads)


if __name__ == "__main__":
    main()
