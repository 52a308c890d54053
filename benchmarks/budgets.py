"""Measure the runtime and compare the figures with its performance budgets.

Most figures are ratios to a baseline that is measured in the same run.

    python benchmarks/budgets.py [MODEL] [--characters 10000000]

Without MODEL, it creates a model of the preset ``small`` and 59 characters with random weights, which runs as
fast as a trained model. The exit code is 1 if a budget is exceeded.
"""

import argparse
import compileall
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import sleep

import numpy as np
import onnx
import psutil
import textgen_runtime as textgen
from numpy.typing import NDArray
from textgen_runtime._core import CoreModel, kernel_names
from textgen_runtime.bench._processes import RUN, SHORT_RUN, python_command, run_to_end
from textgen_runtime.bench.context import BaselineLoops, run_streams
from textgen_runtime.bench.machine import describe_machine, format_machine
from textgen_runtime.bench.rounds import Candidate, calibrate, interleave, medians
from textgen_runtime.engines.native import NativeEngine
from textgen_runtime.model_file.metadata import Metadata
from textgen_runtime.model_file.network import LOGITS, LSTM, NEXT, TOKEN, Embedding, Linear, Network
from textgen_runtime.text.vocabulary import CharacterTokenizer

VOCABULARY = 59
TEMPERATURE = 0.5
SECONDS = 3.0
# Of a step with 8-bit weights, as a share of the time to read the float32 weights once: by preset and
# instruction set.
INT8_BUDGETS = {
    "small": {"avx512vnni": 0.6, "avx512": 0.6, "avx2": 0.7},
    "large": {"avx512vnni": 0.4, "avx512": 0.4, "avx2": 0.4},
}
MEBIBYTE = 2**20

ROOT = Path(__file__).parent.parent
CORE = ROOT / "runtime" / "core"
EXAMPLE = ROOT / "examples" / "generate.c"


@dataclass(frozen=True)
class Result:
    """One row of the table.

    Attributes:
        name: What is measured.
        measured: The figure.
        unit: Unit of the figure and of the budget.
        budget: Maximum of the figure; None if there is no budget.
        detail: Further figures, for example the times of a ratio.
    """

    name: str
    measured: float
    unit: str
    budget: float | None
    detail: str = ""

    @property
    def exceeded(self) -> bool:
        return self.budget is not None and self.measured > self.budget

    def __str__(self) -> str:
        budget = "" if self.budget is None else f"<= {self.budget:g}"
        verdict = "" if self.budget is None else "EXCEEDED" if self.exceeded else "ok"
        return f"{self.name:<52} {self.measured:>8.2f} {self.unit:<3} {budget:>7} {verdict:<8} {self.detail}"


def step_budget(content: bytes, path: Path) -> list[Result]:
    """Compare a step of the onnxruntime engine with a direct ``session.run`` under the same settings."""
    engine = textgen.load(path, engine="onnxruntime").engine
    session = BaselineLoops(content, 1, TEMPERATURE).session
    tokens = np.array([[1]], np.int64)
    names = list(engine.network.state)
    outputs = [LOGITS, *(NEXT + name for name in names)]

    def direct(steps: int) -> None:
        state = list(engine.initial_state().values())
        for _ in range(steps):
            _, *state = session.run(outputs, {TOKEN: tokens, **dict(zip(names, state, strict=True))})

    def engine_steps(steps: int) -> None:
        state = engine.initial_state()
        for _ in range(steps):
            _, state = engine.forward(tokens, state)

    candidates = {"engine": calibrate(engine_steps), "direct": calibrate(direct)}
    seconds = medians(interleave(candidates, SECONDS))
    detail = f"{seconds['engine'] * 1e6:.1f} us, session.run {seconds['direct'] * 1e6:.1f} us"
    return [
        Result("onnxruntime engine / session.run", seconds["engine"] / seconds["direct"], "x", 1.5, detail)
    ]


def draw_budget() -> list[Result]:
    """Compare a draw from 59 logits, called from Python, with the textbook's numpy function."""
    logits = np.random.default_rng(0).normal(0, 3, VOCABULARY).astype(np.float32)
    sampler = textgen.Sampler(TEMPERATURE, seed=0)
    rng = np.random.RandomState(0)
    distribution = textgen.softmax(logits)

    def sampler_draws(draws: int) -> None:
        for _ in range(draws):
            sampler.draw(logits)

    def textbook_draws(draws: int) -> None:
        for _ in range(draws):
            weights = np.exp(np.log(distribution.astype(np.float64)) / TEMPERATURE)
            np.argmax(rng.multinomial(1, weights / np.sum(weights), 1))

    candidates = {"sampler": calibrate(sampler_draws), "textbook": calibrate(textbook_draws)}
    seconds = medians(interleave(candidates, SECONDS))
    detail = f"textbook's numpy function {seconds['textbook'] * 1e6:.1f} us"
    return [
        Result("one draw from 59 logits", seconds["sampler"] * 1e6, "us", 0.5, detail),
        Result("textbook's numpy function / one draw", seconds["textbook"] / seconds["sampler"], "x", None),
    ]


def sliding_window_ratio(content: bytes, path: Path) -> list[Result]:
    """Compare each engine with the textbook's loop over a sliding window of 60 characters."""
    candidates = {"sliding window": calibrate(BaselineLoops(content, 1, TEMPERATURE).sliding_window)}
    for engine in ("native", "onnxruntime"):
        model = textgen.load(path, engine=engine)
        candidates[engine] = calibrate(model.start(temperature=TEMPERATURE, seed=0).take)
    seconds = medians(interleave(candidates, SECONDS))
    detail = ", ".join(f"{name} {1 / median:,.0f}/s" for name, median in seconds.items())
    return [
        Result(
            f"speedup of {name} over the sliding window",
            seconds["sliding window"] / seconds[name],
            "x",
            None,
            detail,
        )
        for name in ("native", "onnxruntime")
    ]


def int8_budgets(folder: Path) -> list[Result]:
    """Compare a step with 8-bit weights and the time to read the float32 weights once, by instruction set."""
    from textgen_train.export.quantized_graph import quantize_graph

    results = []
    for preset, budgets in INT8_BUDGETS.items():
        content = make_model(folder, preset).read_bytes()
        proto = onnx.load_from_string(content)
        quantize_graph(proto.graph)
        for kernels in kernel_names():
            budget = budgets.get(kernels)
            results.append(int8_budget(content, proto.SerializeToString(), kernels, preset, budget))
    return results


def int8_budget(content: bytes, quantized: bytes, kernels: str, preset: str, budget: float | None) -> Result:
    """Compare one stream of a model with 8-bit weights and reading the weights of the float32 model."""
    core = CoreModel(content, kernels)
    engine = NativeEngine(quantized, kernels=kernels)
    stream = engine.new_stream()
    stream.configure(textgen.Sampling(temperature=TEMPERATURE))
    stream.logits = np.zeros(VOCABULARY, np.float32)
    candidates = {
        "read": calibrate(core.read_weights),
        "step": calibrate(partial(run_streams, engine, [stream])),
    }
    seconds = medians(interleave(candidates, SECONDS))
    detail = f"{seconds['step'] * 1e6:.2f} us, read {seconds['read'] * 1e6:.2f} us"
    name = f"8 bits, {preset} / reading float32, {engine.core.kernels}"
    return Result(name, seconds["step"] / seconds["read"], "x", budget, detail)


def installed_python(program: str, *arguments: str) -> list[str]:
    """Return a command line that imports the packages as fast as from a regular installation.

    The finder of an editable installation imports a dozen modules at startup. The option ``-S`` disables it.
    """
    folders = [str(Path(module.__file__).parents[1]) for module in (textgen, np) if module.__file__]
    interpreter, *options = python_command(f"import sys; sys.path += {folders!r}; {program}", *arguments)
    return [interpreter, "-S", *options]


def start_budget(path: Path) -> list[Result]:
    """Compare the time to generate 400 characters with textgen-run and the time of ``import numpy``.

    Both run in a new process.
    """
    # pip compiles a package to bytecode when it installs it, but not an editable package. If Python cannot
    # write to the folder of an editable package, it compiles the package at each start.
    compileall.compile_dir(Path(textgen.__file__).parent, quiet=1)
    run = installed_python(RUN, str(path), "--no-echo", "--length", str(SHORT_RUN))
    candidates = {
        "run": Candidate(lambda: run_to_end(run), 1),
        "import": Candidate(lambda: run_to_end(installed_python("import numpy")), 1),
    }
    seconds = medians(interleave(candidates, SECONDS))
    detail = f"{seconds['run'] * 1e3:.0f} ms, import {seconds['import'] * 1e3:.0f} ms"
    name = f"{SHORT_RUN} characters, cold start / import numpy"
    return [Result(name, seconds["run"] / seconds["import"], "x", 0.6, detail)]


def program_budget(path: Path, folder: Path) -> list[Result]:
    """Compare the time to generate 400 characters with the C example and the time of an empty C program."""
    compiler = shutil.which("cc")
    if compiler is None or not EXAMPLE.exists():
        return []
    empty = folder / "empty.c"
    empty.write_text("int main(void) { return 0; }\n", encoding="ascii")
    sources = {"example": [EXAMPLE, *CORE.glob("*.c"), *CORE.glob("kernels/*.c")], "empty": [empty]}
    for name, files in sources.items():
        subprocess.run(
            [compiler, "-O2", f"-I{CORE}", *map(str, files), "-lm", "-o", str(folder / name)], check=True
        )
    prompt = textgen.load(path).prompts[0]
    run = [str(folder / "example"), str(path), prompt, str(TEMPERATURE), "0", str(SHORT_RUN)]
    candidates = {
        "example": Candidate(lambda: run_to_end(run), 1),
        "empty": Candidate(lambda: run_to_end([str(folder / "empty")]), 1),
    }
    milliseconds = {name: 1e3 * median for name, median in medians(interleave(candidates, SECONDS)).items()}
    detail = ", ".join(f"{name} {median:.1f} ms" for name, median in milliseconds.items())
    name = f"{SHORT_RUN} characters of the C example - empty program"
    return [Result(name, milliseconds["example"] - milliseconds["empty"], "ms", 5, detail)]


def command_budgets(path: Path, folder: Path) -> list[Result]:
    """Measure the size, the start and the memory of the command in C, compiled by ``make core``.

    The start is the time until the first generated character can be read, with the creation of the process.
    The memory is the peak of the resident memory, less that of a C program that only waits, and less the size
    of the model file.
    """
    make, strip, compiler = map(shutil.which, ("make", "strip", "cc"))
    if make is None or strip is None or compiler is None or not CORE.exists():
        return []
    command, stripped = folder / "textgen", folder / "stripped"
    subprocess.run([make, "-s", f"--directory={CORE}", f"BUILD={folder}", str(command)], check=True)
    subprocess.run([strip, "-o", str(stripped), str(command)], check=True)
    run = [str(command), str(path), "a", "--length", str(SHORT_RUN)]
    seconds = medians(interleave({"first": Candidate(lambda: first_character(run), 1)}, SECONDS))
    results = [
        Result("size of the command in C, stripped", stripped.stat().st_size / 1024, "KiB", 100),
        Result("first character of the command in C", 1e3 * seconds["first"], "ms", 5),
    ]
    if Path("/proc/self/status").exists():
        waiting = folder / "waiting.c"
        waiting.write_text("#include <stdio.h>\nint main(void) { return getchar(); }\n", encoding="ascii")
        subprocess.run([compiler, "-O2", str(waiting), "-o", str(folder / "waiting")], check=True)
        # The pipe of the output is soon full, and the command waits.
        endless = [*run[:-1], str(2**40)]
        peak, empty = peak_memory(endless), peak_memory([str(folder / "waiting")])
        model = path.stat().st_size / MEBIBYTE
        detail = f"peak {peak:.2f} MiB, empty program {empty:.2f} MiB, model file {model:.2f} MiB"
        results.append(Result("memory of the command in C", peak - empty - model, "MiB", 3, detail))
    return results


def first_character(command: list[str]) -> None:
    """Run a command until it has written its prompt, of one character, and a character more."""
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        if process.stdout:
            process.stdout.read(2)
        process.kill()


def peak_memory(command: list[str]) -> float:
    """Return the peak of the resident memory, in MiB, of a process that waits for its input or its output."""
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        sleep(1)
        status = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
        process.kill()
    kibibytes = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(kibibytes) / 1024


def memory_budget(path: Path, characters: int, engine: str) -> list[Result]:
    """Measure the peak and the growth of the resident memory of a long textgen-run."""
    samples: list[int] = []
    command = python_command(RUN, str(path), "--length", str(characters), "--engine", engine)
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        watched = psutil.Process(process.pid)
        while process.poll() is None:
            try:
                samples.append(watched.memory_info().rss)
            except psutil.NoSuchProcess:
                break
            sleep(0.05)
    # The last sample may be from a process that is exiting.
    running = [sample / MEBIBYTE for sample in samples[:-1]]
    settled = running[len(running) // 4 :]
    detail = f"{characters:,} characters"
    growth = settled[-1] - settled[0]
    return [
        Result(
            f"peak resident memory, {engine}", max(running), "MiB", 22 if engine == "native" else 80, detail
        ),
        Result("memory growth in the last three quarters of the run", growth, "MiB", 1),
    ]


def make_model(folder: Path, preset: str = "small") -> Path:
    """Write a model of a preset with random weights, and return its path."""
    from textgen_train.export.onnx_graph import build_model
    from textgen_train.presets import PRESETS

    recipe = PRESETS[preset]
    inputs = [recipe.embedding, *[recipe.units] * (recipe.layers - 1)]
    rng = np.random.default_rng(0)

    def normal(*shape: int) -> NDArray[np.float32]:
        return rng.normal(0, 0.1, shape).astype(np.float32)

    weights = [
        {"weight": normal(VOCABULARY, recipe.embedding)},
        *(
            {
                "input": normal(4 * recipe.units, size),
                "recurrent": normal(4 * recipe.units, recipe.units),
                "bias": normal(4 * recipe.units),
            }
            for size in inputs
        ),
        {"weight": normal(VOCABULARY, recipe.units), "bias": normal(VOCABULARY)},
    ]
    network = Network.from_layers(
        (
            Embedding("embed", VOCABULARY, recipe.embedding),
            *(LSTM(f"lstm_{i}", size, recipe.units) for i, size in enumerate(inputs)),
            Linear("output", recipe.units, VOCABULARY),
        )
    )
    symbols = [chr(ord("A") + i) for i in range(VOCABULARY)]
    path = folder / f"{preset}.onnx"
    path.write_bytes(
        build_model(
            network, weights, Metadata(CharacterTokenizer(symbols), prompts=("ABC",))
        ).SerializeToString()
    )
    return path


def main() -> None:
    """Measure all budgets and print the table."""
    parser = argparse.ArgumentParser(description="Measure the runtime against its performance budgets.")
    parser.add_argument(
        "model", nargs="?", type=Path, help="model file (default: a model with random weights)"
    )
    parser.add_argument("--characters", type=int, default=1_000_000, help="length of the memory measurements")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = arguments.model or make_model(Path(folder))
        content = path.read_bytes()
        print(format_machine(describe_machine()))
        measurements: list[Callable[[], list[Result]]] = [
            lambda: step_budget(content, path),
            draw_budget,
            lambda: sliding_window_ratio(content, path),
            lambda: int8_budgets(Path(folder)),
            lambda: start_budget(path),
            lambda: program_budget(path, Path(folder)),
            lambda: command_budgets(path, Path(folder)),
            lambda: memory_budget(path, arguments.characters, "native"),
            lambda: memory_budget(path, arguments.characters, "onnxruntime"),
        ]
        exceeded = False
        for measure in measurements:
            for result in measure():
                print(result, flush=True)
                exceeded |= result.exceeded
    sys.exit(exceeded)


if __name__ == "__main__":
    main()
