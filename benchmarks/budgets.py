"""Measures the runtime against its budgets, each as a ratio to a baseline in the same run.

    python benchmarks/budgets.py [MODEL] [--characters 10000000]

Without a MODEL it makes one of 128 units and 59 characters with random weights, which takes as long to
run as a trained one. Rounds of the contestants alternate, so that a drift of the machine's speed hits
both, and medians are compared.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter, sleep

import numpy as np
import onnxruntime
import psutil
import textgen_runtime as textgen
from numpy.typing import NDArray
from textgen_runtime.contract import CELL, HIDDEN, OUTPUTS, TOKEN, Contract
from textgen_runtime.engine import initial_state
from textgen_runtime.vocabulary import Vocabulary

WINDOW = 60
UNITS = 128
VOCABULARY = 59
MEBIBYTE = 2**20
RUN = "import sys; from textgen_runtime.cli.run import main; sys.exit(main())"


@dataclass(frozen=True)
class Line:
    """One row of the table."""

    what: str
    measured: float
    unit: str
    budget: float | None
    detail: str

    def __str__(self) -> str:
        verdict = "" if self.budget is None else "held" if self.measured <= self.budget else "MISSED"
        budget = "" if self.budget is None else f"<= {self.budget:g}"
        return f"{self.what:<44} {self.measured:>9.2f} {self.unit:<3} {budget:>8} {verdict:<7} {self.detail}"


def seconds(action: Callable[[], object]) -> float:
    start = perf_counter()
    action()
    return perf_counter() - start


def medians(rounds: int, *contestants: Callable[[], object]) -> list[float]:
    """Median seconds of each contestant, their rounds alternating after a warm-up."""
    for contestant in contestants:
        contestant()
    times = [[seconds(contestant) for contestant in contestants] for _ in range(rounds)]
    return [statistics.median(column) for column in zip(*times, strict=True)]


def bare_session(path: Path) -> onnxruntime.InferenceSession:
    """A session as the runtime sets its own up, and nothing around it."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def step_budget(model: textgen.Model, path: Path) -> Line:
    """One step through the engine beside a bare loop over the same file."""
    steps = 2000
    session = bare_session(path)
    state = initial_state(model.engine)
    tokens = np.array([[1]], np.int64)

    def bare() -> None:
        hidden, cell = state
        for _ in range(steps):
            _, hidden, cell = session.run(OUTPUTS, {TOKEN: tokens, HIDDEN: hidden, CELL: cell})

    def engine() -> None:
        carried = state
        for _ in range(steps):
            _, carried = model.engine.step(tokens, carried)

    ours, baseline = medians(11, engine, bare)
    detail = f"{ours / steps * 1e6:.1f} us a step, bare session.run {baseline / steps * 1e6:.1f} us"
    return Line("one step / a bare session.run loop", ours / baseline, "x", 1.5, detail)


def draw_budget() -> list[Line]:
    """One draw from 59 logits, called from Python, beside the textbook's function in numpy."""
    draws = 2000
    logits = np.random.default_rng(0).normal(0, 3, VOCABULARY).astype(np.float32)
    sampler = textgen.Sampler(0.5, seed=0)
    random = np.random.RandomState(0)
    distribution = textgen.softmax(logits)

    def ours() -> None:
        for _ in range(draws):
            sampler.draw(logits)

    def textbook() -> None:
        for _ in range(draws):
            weights = np.exp(np.log(distribution.astype(np.float64)) / 0.5)
            np.argmax(random.multinomial(1, weights / np.sum(weights), 1))

    drawn, baseline = medians(11, ours, textbook)
    detail = f"the textbook's numpy function {baseline / draws * 1e6:.1f} us"
    return [
        Line("one draw from 59 logits", drawn / draws * 1e6, "us", 1.0, detail),
        Line("the textbook's function / one draw", baseline / drawn, "x", None, ""),
    ]


def start_budget(path: Path) -> Line:
    """A fresh textgen-run to its first character beside a fresh import of onnxruntime."""

    def first_character() -> None:
        with subprocess.Popen(
            [sys.executable, "-c", RUN, str(path), "--no-echo", "--length", "100000000"],
            stdout=subprocess.PIPE,
        ) as process:
            assert process.stdout is not None  # noqa: S101 (for the type checker)
            process.stdout.read(1)
            took.append(perf_counter() - start)
            process.kill()

    def just_import() -> None:
        subprocess.run([sys.executable, "-c", "import onnxruntime"], check=True)

    ours: list[float] = []
    baseline: list[float] = []
    for _ in range(13):
        took: list[float] = []
        start = perf_counter()
        first_character()
        ours += took
        baseline.append(seconds(just_import))
    mine, theirs = statistics.median(ours[1:]), statistics.median(baseline[1:])
    detail = f"{mine * 1e3:.0f} ms, python -c 'import onnxruntime' {theirs * 1e3:.0f} ms"
    return Line("start to first character / import onnxruntime", mine / theirs, "x", 1.6, detail)


def memory_budget(path: Path, characters: int) -> list[Line]:
    """Resident memory of a long textgen-run, early and late."""
    samples: list[int] = []
    with subprocess.Popen(
        [sys.executable, "-c", RUN, str(path), "--length", str(characters)], stdout=subprocess.DEVNULL
    ) as process:
        watched = psutil.Process(process.pid)
        while process.poll() is None:
            try:
                samples.append(watched.memory_info().rss)
            except psutil.NoSuchProcess:
                break
            sleep(0.1)
    # The last reading may be of a process that is going away.
    running = [sample / MEBIBYTE for sample in samples[:-1]]
    settled = running[len(running) // 4 :]
    return [
        Line("resident memory of a run", max(running), "MiB", 80, f"{characters:,} characters"),
        Line(
            "its growth over the last three quarters",
            settled[-1] - settled[0],
            "MiB",
            1,
            f"{settled[0]:.1f} to {settled[-1]:.1f} MiB",
        ),
    ]


def classic_ratio(model: textgen.Model, path: Path) -> Line:
    """The textbook's loop, which reads the last 60 characters again for each new one, on the same file."""
    session = bare_session(path)
    state = initial_state(model.engine)
    characters = 100
    window: NDArray[np.int64] = np.resize(np.arange(len(model.vocabulary)), (WINDOW, 1)).astype(np.int64)

    def classic() -> None:
        sampler = textgen.Sampler(0.5, seed=0)
        text = window
        for _ in range(characters):
            logits, _, _ = session.run(OUTPUTS, {TOKEN: text, HIDDEN: state.hidden, CELL: state.cell})
            text = np.concatenate([text[1:], [[sampler.draw(logits[-1, 0])]]])

    prompt = model.vocabulary.decode(window[:, 0])
    generation = model.start(prompt, temperature=0.5, seed=0)

    ours, baseline = medians(11, lambda: generation.take(characters), classic)
    speed, classic_speed = characters / ours, characters / baseline
    detail = f"{speed:,.0f} characters/s, re-encoding {WINDOW} characters each time {classic_speed:,.0f}"
    return Line("state carried / window re-encoded", speed / classic_speed, "x", None, detail)


def make_model(folder: Path) -> Path:
    """A model of the textbook's size with random weights."""
    from textgen_train.graph import LayerWeights, Weights, build_model

    random = np.random.default_rng(0)

    def normal(*shape: int) -> NDArray[np.float32]:
        return random.normal(0, 0.1, shape).astype(np.float32)

    layer = LayerWeights(normal(4 * UNITS, 64), normal(4 * UNITS, UNITS), normal(4 * UNITS))
    weights = Weights(normal(VOCABULARY, 64), [layer], normal(VOCABULARY, UNITS), normal(VOCABULARY))
    symbols = [chr(ord("A") + i) for i in range(VOCABULARY)]
    path = folder / "model.onnx"
    model = build_model(weights, Contract(Vocabulary(symbols), prompts=("ABC",)))
    path.write_bytes(model.SerializeToString())
    return path


def machine() -> str:
    """What the figures were measured on."""
    processor = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line.split(":")[1] for line in cpuinfo.read_text().splitlines() if "model name" in line]
        processor = names[0].strip() if names else processor
    return (
        f"{processor}, {os.cpu_count()} cores, {platform.system()}; Python {platform.python_version()}, "
        f"numpy {np.__version__}, onnxruntime {onnxruntime.__version__}"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Measure the runtime against its budgets.")
    parser.add_argument(
        "model", nargs="?", type=Path, help="a model file (default: 128 units, random weights)"
    )
    parser.add_argument("--characters", type=int, default=1_000_000, help="length of the memory run")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = arguments.model or make_model(Path(folder))
        model = textgen.load(path)
        print(machine())
        print(f"{model.engine.layers} x {model.engine.units} units, {len(model.vocabulary)} characters\n")
        measurements: list[Callable[[], list[Line]]] = [
            lambda: [step_budget(model, path)],
            draw_budget,
            lambda: [classic_ratio(model, path)],
            lambda: [start_budget(path)],
            lambda: memory_budget(path, arguments.characters),
        ]
        lines = []
        for measure in measurements:
            for line in measure():
                print(line, flush=True)
                lines.append(line)
    if arguments.json:
        arguments.json.write_text(json.dumps({"machine": machine(), "lines": [vars(line) for line in lines]}))


if __name__ == "__main__":
    main()
