"""Measure the runtime, and compare the figures with its performance budgets.

    python -m benchmarks.budgets [--seconds 3] [--characters 10000000]

All speeds are ratios to a baseline that is measured in the same run, with each instruction set of this
processor. The networks have random weights, which run as fast as trained ones. On a virtual machine, other
guests slow down one processor or the other, so two threads need a quiet machine. The exit code is 1 if a
budget is missed.
"""

import argparse
import compileall
import gzip
import re
import string
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import textgen_runtime as textgen
from numpy.typing import NDArray
from textgen_runtime._core import Constraint, CoreModel, kernel_names
from textgen_runtime.bench.report import format_machine, microseconds
from textgen_runtime.bench.rounds import Candidate, calibrate, interleave, medians
from textgen_runtime.cli.bench import FILTERS, RUN, SHORT_RUN, python_command, run_process
from textgen_runtime.engine import Lane, NativeEngine

from tests.helpers.int8_models import quantize_model
from tests.helpers.make_tiny_model import make_model

VOCABULARY = 59
SYMBOLS = (string.ascii_lowercase + string.digits + string.punctuation)[:VOCABULARY]
SMALL = {"layers": 2, "units": 128, "embedding": 16}
LARGE = {"layers": 2, "units": 512, "embedding": 64}
TEMPERATURE = 0.5
STREAM_COUNTS = (16, 64, 256)
STOPS = [3 * text for text in ("the", "of", "and", "in", "to", "is", "a", "that")]
# A constraint of so many states, of which only the last one accepts.
STATES = 1000
WEB = Path(__file__).parents[1] / "runtime" / "web"

# Prints the peak memory of textgen-run after its text. On Linux, getrusage has that of the parent, too.
RUN_AND_PRINT_MEMORY = """
from textgen_runtime.cli.run import main
main()
print(open("/proc/self/status").read())
"""


class Figure(NamedTuple):
    """One row of the table.

    Attributes:
        name: What is measured.
        measured: The figure.
        budget: What it must not exceed, or must reach if ``is_least``.
        detail: The times of a ratio.
    """

    name: str
    measured: float
    budget: float
    detail: str = ""
    is_least: bool = False

    @property
    def is_kept(self) -> bool:
        return self.measured >= self.budget if self.is_least else self.measured <= self.budget

    def __str__(self) -> str:
        sign, verdict = ">=" if self.is_least else "<=", "ok" if self.is_kept else "MISSED"
        return f"{self.name:<50} {self.measured:>7.2f} {sign} {self.budget:<5g} {verdict:<7} {self.detail}"


def timed(runs: dict[str, Callable[[int], object]], seconds: float, least: int = 1) -> dict[str, float]:
    """Return the median seconds of a unit of work of each function."""
    return medians(interleave({name: calibrate(run, least=least) for name, run in runs.items()}, seconds))


def streams(engine: NativeEngine, count: int, constraint: Constraint | None = None, **options: Any) -> Any:
    """Return a function that continues this number of texts by a number of tokens."""
    texts = [engine.new_stream(0, i) for i in range(count)]
    for text in texts:
        text.configure(textgen.Sampling(temperature=TEMPERATURE), constraint=constraint, **options)
        text.feed([0])

    def run(length: int) -> None:
        left = length
        while left > 0:
            steps = min(left, engine.chunk_length(count))
            engine.generate([Lane(text, left) for text in texts], steps)
            left -= steps

    return run


def one_stream(kernels: str, seconds: float) -> Iterator[Figure]:
    """Compare one stream with the time to read the float32 weights once."""
    is_avx2 = kernels == "avx2"
    budgets = {"float32": 1.3 if is_avx2 else 1.25, "8 bits": 0.7 if is_avx2 else 0.6}
    for name, sizes in (("128 units", SMALL), ("512 units", LARGE)):
        model = make_model(SYMBOLS, scale=0.1, **sizes)
        plain, quantized = model.SerializeToString(), quantize_model(model).SerializeToString()
        times = timed(
            {
                "read": CoreModel(plain, kernels).read_weights,
                "float32": streams(NativeEngine(plain, 1, kernels), 1),
                "8 bits": streams(NativeEngine(quantized, 1, kernels), 1),
            },
            seconds,
        )
        for kind, budget in (budgets | ({"8 bits": 0.4} if sizes is LARGE else {})).items():
            detail = f"{microseconds(times[kind])}, read {microseconds(times['read'])}"
            yield Figure(
                f"{kernels}, {name}, {kind} / reading float32", times[kind] / times["read"], budget, detail
            )


def many_streams(content: bytes, seconds: float) -> Iterator[Figure]:
    """Compare many streams with onnxruntime, which draws with this project's sampler."""
    for count in STREAM_COUNTS:
        for threads in (1, 2):
            # Not in alternating rounds: onnxruntime's threads spin for a while after each step.
            native = timed({"": streams(NativeEngine(content, threads), count)}, seconds, least=100)[""]
            other = timed({"": onnxruntime_batch(content, count, threads)}, seconds)[""]
            detail = f"{count / native:,.0f}/s, onnxruntime {count / other:,.0f}/s"
            name = f"{count} streams, {threads} threads: onnxruntime / native"
            yield Figure(name, other / native, 1.3, detail, is_least=True)


def onnxruntime_batch(content: bytes, count: int, threads: int) -> Callable[[int], None]:
    """Return a function that continues texts as one batch, as a user of onnxruntime would."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    shapes = {node.name: node.shape for node in session.get_inputs() if node.name != "token"}
    outputs, sampler = ["logits", *(f"next_{name}" for name in shapes)], textgen.Sampler(TEMPERATURE)

    def run(steps: int) -> None:
        inputs: dict[str, NDArray[Any]] = {
            name: np.zeros((layers, count, units), np.float32) for name, (layers, _, units) in shapes.items()
        }
        inputs["token"] = np.zeros((1, count), np.int64)
        for _ in range(steps):
            logits, *state = session.run(outputs, inputs)
            inputs.update(zip(shapes, state, strict=True))
            inputs["token"] = sampler.draw_batch(logits[0])[np.newaxis]

    return run


def control(content: bytes, seconds: float) -> Iterator[Figure]:
    """Measure what filters, stop texts and a constraint add to a character of one stream, in microseconds."""
    model = textgen.load(content)
    ring = Constraint(
        np.repeat((np.arange(STATES, dtype=np.int16) + 1) % STATES, VOCABULARY),
        [False] * (STATES - 1) + [True],
    )
    times = timed(
        {
            "nothing": model.start("a", temperature=TEMPERATURE, seed=0).take,
            "filters": model.start("a", temperature=TEMPERATURE, seed=0, **FILTERS).take,
            "stop texts": model.start("a", temperature=TEMPERATURE, seed=0, stop=STOPS).take,
            "a constraint": streams(NativeEngine(content), 1, ring),
        },
        seconds,
    )
    for name, budget in (("filters", 1.0), ("stop texts", 0.05), ("a constraint", 0.05)):
        yield Figure(
            f"added by {name}, us", 1e6 * (times[name] - times["nothing"]), budget, microseconds(times[name])
        )


def draws(seconds: float) -> Iterator[Figure]:
    """Measure draws that Python calls, in microseconds."""
    logits = np.random.default_rng(0).normal(0, 3, VOCABULARY).astype(np.float32)
    samplers = {"plain": textgen.Sampler(TEMPERATURE), "full chain": textgen.Sampler(TEMPERATURE, **FILTERS)}

    def draw(sampler: textgen.Sampler, count: int) -> None:
        for _ in range(count):
            sampler.draw(logits)

    times = timed({name: partial(draw, sampler) for name, sampler in samplers.items()}, seconds)
    for name, budget in (("plain", 0.5), ("full chain", 1.0)):
        yield Figure(f"a draw from {VOCABULARY} logits, {name}, us", 1e6 * times[name], budget)


def processes(path: Path, characters: int, seconds: float) -> Iterator[Figure]:
    """Measure the start and the memory of ``textgen-run``."""
    # pip compiles a package to bytecode when it installs it, but not an editable package.
    compileall.compile_dir(Path(textgen.__file__).parent, quiet=1)
    options = ["--no-echo", "--seed", "1", "--length"]
    commands = {
        "import": installed("import numpy"),
        "run": installed(RUN, str(path), *options, str(SHORT_RUN)),
    }
    runs = {name: Candidate(partial(run_process, command)) for name, command in commands.items()}
    times = medians(interleave(runs, seconds))
    detail = f"{1e3 * times['run']:.0f} ms, import {1e3 * times['import']:.0f} ms"
    yield Figure(f"{SHORT_RUN} characters / import numpy", times["run"] / times["import"], 0.58, detail)
    if Path("/proc/self/status").exists():
        peaks = []
        for length in (SHORT_RUN, characters):
            command = installed(RUN_AND_PRINT_MEMORY, str(path), *options, str(length))
            output = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout
            peaks.append(int(re.findall(rb"VmHWM:\s*(\d+) kB", output)[-1]) / 1024)
        yield Figure("peak memory, MiB", peaks[0], 16)
        yield Figure(f"its growth over {characters:,} characters, MiB", peaks[1] - peaks[0], 1)


def installed(program: str, *arguments: str) -> list[str]:
    """Return a command line that imports the packages as fast as from a regular installation.

    The finder of an editable installation imports a dozen modules at startup. The option ``-S`` disables it.
    """
    folders = [str(Path(module.__file__).parents[1]) for module in (textgen, np) if module.__file__]
    interpreter, *options = python_command(f"import sys; sys.path += {folders!r}\n{program}", *arguments)
    return [interpreter, "-S", *options]


def modules() -> Iterator[Figure]:
    """Measure what a page downloads, in KB."""
    for path in sorted(WEB.glob("*.wasm")):
        size = len(gzip.compress(path.read_bytes(), mtime=0))
        yield Figure(f"{path.name}, gzip, KB", size / 1e3, 30)


def figures(seconds: float, characters: int) -> Iterator[Figure]:
    """Measure everything."""
    content = make_model(SYMBOLS, scale=0.1, **SMALL).SerializeToString()
    for kernels in kernel_names():
        if kernels.startswith("avx"):
            yield from one_stream(kernels, seconds)
    yield from many_streams(content, seconds)
    yield from control(content, seconds)
    yield from draws(seconds)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        path.write_bytes(content)
        yield from processes(path, characters, seconds)
    yield from modules()


def main() -> int:
    """Print the table, and return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=3.0, help="duration of a comparison (default: 3)")
    parser.add_argument(
        "--characters", type=int, default=10**7, help="length of a long text (default: 10000000)"
    )
    arguments = parser.parse_args()
    print(format_machine(), flush=True)
    missed = 0
    for figure in figures(arguments.seconds, arguments.characters):
        print(figure, flush=True)
        missed += not figure.is_kept
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
