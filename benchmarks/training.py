"""Compare training with matrix products alone, two threads with one, and C with torch.

    python -m benchmarks.training [small ...] [--seconds 10]

The share is that of the fastest ``torch.mm`` with the shapes of the preset on one core: the operations of
the products of an update, divided by its time. Products and updates alternate. Each preset has its own
process, because the memory that a process has used affects the next measurement.

The command ``textgen`` trains whole runs, with evaluations, in rounds that alternate with those of torch.
``make training`` builds it.
"""

import argparse
import contextlib
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from textgen_runtime.bench.report import format_machine
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

COMMAND = Path("build/core/textgen")
PRECISIONS = ("float32", "bfloat16")


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


def command_speed(text: Path, preset: str, precision: str, threads: int, seconds: float) -> float:
    """Return the characters per second of a run of the command, or 0 if the processor lacks the precision."""
    command: list[str | Path] = [COMMAND, "train", text, "-o", text.with_name("model"), "--preset", preset]
    command += ["--precision", precision, "--threads", str(threads), "--minutes", f"{seconds / 60}"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    if run.returncode and "precision" in run.stderr:
        return 0.0
    run.check_returncode()
    epochs = float(re.findall(r"([\d.]+) epochs", run.stderr)[-1])
    characters = int(re.findall(r"(\d+) characters to learn", run.stderr)[0])
    return epochs * characters / seconds


def measure(preset: str, seconds: float) -> tuple[float, float, list[float]]:
    """Measure a preset.

    Returns:
        The operations per second of training and of the fastest product with one thread, and the characters
        per second: of torch with one thread and with two, and of the command, for each precision with one
        thread and with two.
    """
    torch.set_num_threads(1)
    text = np.random.default_rng(0).integers(VOCABULARY, size=CHARACTERS)
    trainers = [
        Trainer(text, VOCABULARY, PRESETS[preset], Budget(epochs=1000), seed=0, threads=threads)
        for threads in (1, 2)
    ]
    made, operations = products(PRESETS[preset], torch.bfloat16 if has_bfloat16() else torch.float32)
    with contextlib.closing(trainers[0].updates()) as updates:
        candidates = {str(i): calibrate(run) for i, (_, run) in enumerate(made)}
        update = Candidate(partial(repeat, partial(next, updates), UPDATES_PER_ROUND), UPDATES_PER_ROUND)
        measured = medians(interleave({"update": update, **candidates}, seconds))
    fastest = max(count / measured[str(i)] for i, (count, _) in enumerate(made))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "text")
        path.write_text("".join(map(chr, text + ord("A"))), encoding="utf-8")
        rounds = [
            [trainer.measure_speed(seconds / ROUNDS / 2) for trainer in trainers]
            + [
                command_speed(path, preset, precision, threads, seconds / ROUNDS)
                for precision in PRECISIONS
                for threads in (1, 2)
            ]
            for _ in range(ROUNDS)
        ]
    return (
        operations / measured["update"],
        fastest,
        [statistics.median(part) for part in zip(*rounds, strict=True)],
    )


def main(argv: Sequence[str] | None = None) -> None:
    """Print a line for each preset."""
    command = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    command.add_argument("presets", nargs="*", help="default: all")
    command.add_argument("--seconds", type=float, default=10.0, help="duration of a comparison (default: 10)")
    arguments = command.parse_args(argv)
    if len(arguments.presets) == 1:
        keep_freed_memory()
        (preset,) = arguments.presets
        rate, fastest, (one, two, *of_command) = measure(preset, arguments.seconds)
        print(
            f"{preset:8} {rate / 1e9:5.0f} of {fastest / 1e9:5.0f} GFLOP/s, share {rate / fastest:.2f}; "
            f"{one:9,.0f} characters/s, with two threads {two:9,.0f}, gain {two / one:.2f}"
        )
        for precision, c_one, c_two in zip(PRECISIONS, of_command[::2], of_command[1::2], strict=True):
            if c_one:
                print(
                    f"  in C, {precision:8} {c_one:9,.0f} characters/s, with two threads {c_two:9,.0f}, gain "
                    f"{c_two / c_one:.2f}; {c_one / one:.2f} and {c_two / two:.2f} times torch"
                )
        return
    print(f"{format_machine()}, torch {torch.__version__}", flush=True)
    for preset in arguments.presets or PRESETS:
        command_line = ["-m", "benchmarks.training", preset, "--seconds", str(arguments.seconds)]
        subprocess.run([sys.executable, *command_line], check=True)


if __name__ == "__main__":
    main()
