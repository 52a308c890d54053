"""Compare training with its matrix products alone, and show where the time of an update goes.

python benchmarks/training_roofline.py

The products are made by ``torch.mm`` with the shapes of the preset, on the same core. The products with the
recurrent weights are one call for each time step. All others are one call for the whole sequence: those with
the inputs of a layer, and the gradients of the weights. Products and updates alternate. Each row has its own
process, because the memory that a process has used affects the next measurement.
"""

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from time import perf_counter
from typing import Any, NamedTuple
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
SPEED_ROUNDS = 5

FLOAT32, BFLOAT16 = "float32", "bfloat16"

# The variables that limit the libraries of torch to an instruction set.
AVX2 = {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2", "MKL_ENABLE_INSTRUCTIONS": "AVX2"}
INSTRUCTIONS: dict[str, dict[str, str]] = {"avx2": AVX2, "all": {}}

FORWARD, BACKWARD, OUTPUT = "forward", "backward", "output and loss"
MASKS, OPTIMIZERS, BETWEEN = "dropout masks", "optimizers", "between"
PARTS = (FORWARD, BACKWARD, OUTPUT, MASKS, OPTIMIZERS, BETWEEN)


class Stopwatch:
    """Adds up the time of the parts of an update. Of a part within another one, only the inner one counts."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = dict.fromkeys(PARTS, 0.0)
        self._running = [BETWEEN]
        self._since = perf_counter()

    def _count(self) -> None:
        """Count the time since the last call for the part that is running."""
        now = perf_counter()
        self.seconds[self._running[-1]] += now - self._since
        self._since = now

    def timed(self, part: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function, whose time counts towards a part."""

        def call_timed(*arguments: Any, **options: Any) -> Any:
            self._count()
            self._running.append(part)
            try:
                return call(*arguments, **options)
            finally:
                self._count()
                self._running.pop()

        return call_timed

    def lap(self) -> dict[str, float]:
        """Return the seconds of each part since the last call."""
        self._count()
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


class Product(NamedTuple):
    """A matrix product of an update.

    Attributes:
        part: The part of the update that it belongs to.
        repeats: How often an update makes it.
        operations: Floating-point operations of one product.
        call: Makes one product.
    """

    part: str
    repeats: int
    operations: int
    call: Callable[[], object]


def products(recipe: Recipe, dtype: torch.dtype) -> list[Product]:
    """Return the matrix products of an update, with the layouts that torch's layers use."""
    steps, batch, units = recipe.sequence_length, recipe.batch, recipe.units
    rows = steps * batch
    made: list[Product] = []

    def add(part: str, shape: tuple[int, int, int], transposed: int | None = None, repeats: int = 1) -> None:
        """Add the product of two matrices, one of which may be stored transposed."""
        sizes = [shape[:2], shape[1:]]
        first, second = (
            torch.randn(size[::-1]).to(dtype).t() if i == transposed else torch.randn(size).to(dtype)
            for i, size in enumerate(sizes)
        )
        call = partial(torch.mm, first, second, out=torch.empty(shape[0], shape[2], dtype=dtype))
        made.append(Product(part, repeats, 2 * shape[0] * shape[1] * shape[2], call))

    for layer in range(recipe.layers):
        inputs, gates = units if layer else recipe.embedding, 4 * units
        add(FORWARD, (rows, inputs, gates), transposed=1)
        add(FORWARD, (batch, units, gates), transposed=1, repeats=steps)
        add(BACKWARD, (rows, gates, inputs))
        add(BACKWARD, (gates, rows, inputs), transposed=0)
        add(BACKWARD, (batch, gates, units), repeats=steps)
        add(BACKWARD, (gates, rows, units), transposed=0)
    add(OUTPUT, (rows, units, VOCABULARY), transposed=1)
    add(OUTPUT, (rows, VOCABULARY, units))
    add(OUTPUT, (VOCABULARY, rows, units), transposed=0)
    return made


def create_trainer(recipe: Recipe, threads: int) -> trainer.Trainer:
    text = np.random.default_rng(0).integers(VOCABULARY, size=CHARACTERS)
    return trainer.Trainer(text, VOCABULARY, recipe, Budget(epochs=1000), seed=0, threads=threads)


def repeat(call: Callable[[], object], count: int) -> None:
    for _ in range(count):
        call()


class Update(NamedTuple):
    """What an update took.

    Attributes:
        parts: Seconds of each part.
        system: Seconds of the operating system.
        faults: Number of page faults.
    """

    parts: dict[str, float]
    system: float
    faults: int


def measure(name: str, precision: str, threads: int, seconds: float) -> dict[str, Any]:
    """Measure a preset, and return the figures of its row. Times are in seconds per update."""
    # Windows does not have this module.
    import resource

    recipe = PRESETS[name]
    made = products(recipe, torch.bfloat16 if precision == BFLOAT16 else torch.float32)
    trained = create_trainer(recipe, 1)
    made_updates: list[Update] = []

    def update(count: int) -> None:
        for _ in range(count):
            before = resource.getrusage(resource.RUSAGE_SELF)
            watch.lap()
            next(updates)
            parts, after = watch.lap(), resource.getrusage(resource.RUSAGE_SELF)
            faults = after.ru_minflt - before.ru_minflt
            made_updates.append(Update(parts, after.ru_stime - before.ru_stime, faults))

    with timing(trained) as watch, contextlib.closing(trained.updates()) as updates:
        update(UPDATES_PER_ROUND)
        made_updates.clear()
        candidates = {"update": Candidate(partial(update, UPDATES_PER_ROUND), UPDATES_PER_ROUND)}
        candidates |= {str(i): calibrate(partial(repeat, product.call)) for i, product in enumerate(made)}
        measured = medians(interleave(candidates, seconds))
    single, several = create_trainer(recipe, 1), create_trainer(recipe, threads)
    rates: dict[str, list[float]] = {"one": [], "all": []}
    for _ in range(SPEED_ROUNDS):
        for key, rated in (("one", single), ("all", several)):
            rates[key].append(rated.measure_speed(seconds / SPEED_ROUNDS / 2))
    return {
        "update": measured["update"],
        "parts": {part: statistics.median(made.parts[part] for made in made_updates) for part in PARTS},
        "system": statistics.fmean(made.system for made in made_updates),
        "faults": statistics.fmean(made.faults for made in made_updates),
        "products": {
            part: sum(
                product.repeats * measured[str(i)] for i, product in enumerate(made) if product.part == part
            )
            for part in (FORWARD, BACKWARD, OUTPUT)
        },
        "operations": {
            part: sum(product.repeats * product.operations for product in made if product.part == part)
            for part in (FORWARD, BACKWARD, OUTPUT)
        },
        "peak": max(product.operations / measured[str(i)] for i, product in enumerate(made)),
        **{key: statistics.median(values) for key, values in rates.items()},
    }


def print_tables(rows: dict[str, dict[str, Any]], threads: int) -> None:
    """Print the rates of the layers, the parts of an update, and the speed."""

    def milliseconds(seconds: float) -> str:
        return f"{1e3 * seconds:.2f} ms"

    layers, parts, speeds = [], [], []
    for name, row in rows.items():
        compared = []
        for part in (FORWARD, BACKWARD):
            spent, alone = row["parts"][part], row["products"][part]
            rate = row["operations"][part] / 1e9
            compared += [f"{rate / spent:.0f}", f"{rate / alone:.0f}", f"{alone / spent:.2f}"]
        spent = row["parts"][FORWARD] + row["parts"][BACKWARD]
        least = (row["operations"][FORWARD] + row["operations"][BACKWARD]) / row["peak"]
        at_most = row["update"] / (row["update"] - spent + least)
        layers.append((name, [*compared, f"{row['peak'] / 1e9:.0f}", times(at_most)]))
        cells = [milliseconds(row["parts"][part]) for part in PARTS]
        cells += [milliseconds(row["update"]), milliseconds(row["system"]), f"{row['faults']:,.0f}"]
        parts.append((name, cells))
        share = sum(row["products"].values()) / row["update"]
        gain = times(row["all"] / row["one"])
        speeds.append((name, [f"{row['one']:,.0f}", f"{row['all']:,.0f}", gain, f"{share:.2f}"]))
    print(
        Section(
            "layers, one thread, GFLOP/s",
            ["forward", "torch.mm", "share", "backward", "torch.mm", "share", "peak", "update"],
            layers,
            legend=[
                "peak: the rate of the fastest product",
                "update: how much faster an update would be with layers at this rate",
            ],
        ),
        Section(
            "parts of an update, one thread",
            [*PARTS, "update", "system", "page faults"],
            parts,
            legend=["system: time of the operating system, mostly for page faults"],
        ),
        Section(
            "training, characters/s",
            ["one thread", f"{threads} threads", "gain", "products / update"],
            speeds,
            legend=["products / update: time of all products with torch.mm, as a share of an update"],
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
    command.add_argument(
        "--default-allocator",
        action="store_true",
        help="return freed memory to the system, unlike textgen-train",
    )
    command.add_argument("--row", nargs=2, metavar=("PRESET", "PRECISION"), help=argparse.SUPPRESS)
    return command.parse_args()


def main() -> None:
    """Print the tables; with ``--row``, print the figures of one row as JSON."""
    arguments = parse_arguments()
    if arguments.row:
        name, precision = arguments.row
        if not arguments.default_allocator:
            keep_freed_memory()
        # Without these, a run chooses float32.
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
                command += ["--default-allocator"] * arguments.default_allocator
                environment = {**os.environ, **INSTRUCTIONS[instructions]}
                output = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True).stdout
                rows[f"{name}, {precision}, {instructions}"] = json.loads(output)
    print(f"torch {torch.__version__}, {torch.backends.cpu.get_cpu_capability()}")
    print_tables(rows, arguments.threads)


if __name__ == "__main__":
    main()
