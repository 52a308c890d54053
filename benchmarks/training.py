"""Compare training in C with training by torch, two threads with one, and both with matrix products alone.

    python -m benchmarks.training [small ...] [--seconds 10]

The share is that of the fastest ``torch.mm`` with the shapes of the preset on one core, in float32: the
operations of the products of an update, divided by its time. Products and updates of all learners alternate.
With Node, the WebAssembly modules of the trainer are compared with its instruction set AVX2, on one core.
Each preset has its own process, because the memory that a process has used affects the next measurement.
"""

import argparse
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
import torch
from textgen_runtime.bench.report import format_machine
from textgen_runtime.bench.rounds import Candidate, calibrate, interleave, medians
from textgen_train import Corpus, Trainer, TrainingError, choose_preset
from textgen_train.config import PRESETS
from textgen_train.learner_torch import TorchLearner

VOCABULARY = 57
CHARACTERS = 500_000
UPDATES_PER_ROUND = 4
# The WebAssembly modules of the trainer.
MODULES = ("trainer.wasm", "trainer-relaxed.wasm")


def products(recipe: Mapping[str, Any]) -> tuple[list[tuple[int, Callable[[int], None]]], int]:
    """Return the matrix products of an update, each with its operations, and the operations of all.

    The products with the recurrent weights are one for each time step. All others are one for the whole
    sequence: those with the inputs of a layer, and the gradients of the weights.
    """
    steps, batch, units = recipe["sequence_length"], recipe["batch"], recipe["units"]
    rows, gates = steps * batch, 4 * units
    shapes = [((rows, units, VOCABULARY), 1), ((rows, VOCABULARY, units), 1), ((VOCABULARY, rows, units), 1)]
    for layer in range(recipe["layers"]):
        inputs = units if layer else recipe["embedding"]
        shapes += [((rows, inputs, gates), 1), ((rows, gates, inputs), 1), ((gates, rows, inputs), 1)]
        shapes += [((batch, units, gates), steps), ((batch, gates, units), steps), ((gates, rows, units), 1)]
    made: list[tuple[int, Callable[[int], None]]] = []
    for a, b, c in dict(shapes):
        out = torch.empty(a, c)
        product = partial(torch.mm, torch.randn(a, b), torch.randn(b, c), out=out)
        made.append((2 * a * b * c, partial(repeat, product)))
    return made, sum(2 * a * b * c * repeats for (a, b, c), repeats in shapes)


def repeat(call: Callable[[], object], count: int) -> None:
    """Call a function this number of times."""
    for _ in range(count):
        call()


def make_learners(preset: str) -> dict[str, Any]:
    """Return the learners of a preset that this processor has, by name."""
    rng = np.random.default_rng(0)
    text = bytes(rng.integers(VOCABULARY, size=CHARACTERS).astype(np.uint8) + ord("A"))
    corpus = Corpus(text, "random characters")
    values = choose_preset(preset, corpus.common_symbols, corpus.training_tokens, None)
    learners: dict[str, Any] = {}
    with suppress(TrainingError):
        learners["avx2 1"] = Trainer(corpus, values, 0, 1, "avx2")
    for threads in (1, 2):
        learners[f"torch {threads}"] = TorchLearner(
            corpus, {**values, "cell": "lstm"}, seed=0, threads=threads, device="cpu"
        )
        learners[f"float32 {threads}"] = Trainer(corpus, values, 0, threads)
        try:
            bfloat16 = {**values, "precision": 1}
            learners[f"bfloat16 {threads}"] = Trainer(corpus, bfloat16, 0, threads, "amx")
        except TrainingError:
            # The processor has no AMX.
            continue
    return learners


@contextmanager
def node_trainer(preset: str, module: str) -> Iterator[Callable[[], None]]:
    """Start a trainer in Node; yield a function that makes the updates of a round."""
    program = Path(__file__).with_name("training.mjs")
    command = ["node", "--experimental-wasm-relaxed-simd", str(program), preset, module]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        to, answers = cast("IO[str]", process.stdin), cast("IO[str]", process.stdout)

        def update() -> None:
            print(UPDATES_PER_ROUND, file=to, flush=True)
            if not answers.readline():
                raise RuntimeError(f"Node has ended with {module}")

        yield update


def measure(preset: str, seconds: float) -> tuple[float, float, dict[str, float]]:
    """Measure a preset.

    Returns:
        The operations of the products of an update, the operations per second of the fastest product with one
        thread, and the seconds of an update of each learner.
    """
    learners = make_learners(preset)
    made, operations = products(choose_preset(preset, VOCABULARY, CHARACTERS, None))

    def run(learner: Any, threads: int, count: int) -> None:
        torch.set_num_threads(threads)
        repeat(partial(learner.update, 0.5), count)

    updates = {
        name: Candidate(partial(run, learner, int(name[-1]), UPDATES_PER_ROUND), UPDATES_PER_ROUND)
        for name, learner in learners.items()
    }
    torch.set_num_threads(1)
    candidates = {str(i): calibrate(product) for i, (_, product) in enumerate(made)}
    with ExitStack() as stack:
        for name in MODULES if shutil.which("node") else ():
            update = stack.enter_context(node_trainer(preset, name))
            updates[name] = Candidate(update, UPDATES_PER_ROUND)
        measured = medians(interleave({**candidates, **updates}, seconds))
    fastest = max(count / measured[str(i)] for i, (count, _) in enumerate(made))
    return operations, fastest, {name: measured[name] for name in updates}


def main(argv: Sequence[str] | None = None) -> None:
    """Print a line for each preset."""
    command = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    command.add_argument("presets", nargs="*", help="default: all")
    command.add_argument("--seconds", type=float, default=10.0, help="duration of a comparison (default: 10)")
    arguments = command.parse_args(argv)
    if len(arguments.presets) == 1:
        (preset,) = arguments.presets
        operations, fastest, seconds = measure(preset, arguments.seconds)
        values = choose_preset(preset, VOCABULARY, CHARACTERS, None)
        characters = values["batch"] * values["sequence_length"]
        print(f"{preset}: the fastest product has {fastest / 1e9:.0f} GFLOP/s with one thread")
        for name in ("torch", "float32", "bfloat16"):
            if f"{name} 2" not in seconds:
                continue
            one, two = seconds[f"{name} 1"], seconds[f"{name} 2"]
            print(
                f"  {name:9} {characters / one:9,.0f} characters/s, share {operations / one / fastest:.2f}; "
                f"with two threads {characters / two:9,.0f}, gain {one / two:.2f}; "
                f"{seconds['torch 1'] / one:.2f} and {seconds['torch 2'] / two:.2f} times torch"
            )
        for name in MODULES:
            if name in seconds and "avx2 1" in seconds:
                share = seconds["avx2 1"] / seconds[name]
                print(f"  {name}: {characters / seconds[name]:,.0f} characters/s, {share:.2f} of AVX2")
        return
    print(f"{format_machine()}, torch {torch.__version__}", flush=True)
    for preset in arguments.presets or PRESETS:
        command_line = ["-m", "benchmarks.training", preset, "--seconds", str(arguments.seconds)]
        subprocess.run([sys.executable, *command_line], check=True)


if __name__ == "__main__":
    main()
