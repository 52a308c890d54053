"""Measure one stream and many streams of the native engine, and compare the figures with their budgets.

    python -m benchmarks.streams [MODEL] [--kernels avx2] [--seconds 10]

Each instruction set of this processor is measured in its own process; ``--kernels`` selects one. The figures
are the time of one stream divided by the time to read the weights once, the throughput of many streams
divided by that of onnxruntime with the same number of threads, and the gain of a second thread. Both programs
draw each character.

On a virtual machine, other guests slow down one processor or the other for a while. Two threads then wait for
the slower one. So the gain of a second thread needs a quiet machine.

onnxruntime chooses the best instructions of the processor. For ``avx2``, ``hide_avx512.c`` hides newer ones
from it, if the operating system can do that. The exit code is 1 if a budget is missed.
"""

import argparse
import ctypes
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from textgen_runtime._core import kernel_names
from textgen_runtime.bench._many_streams import measure_streams
from textgen_runtime.bench.context import BenchContext
from textgen_runtime.bench.machine import describe_machine, format_machine
from textgen_runtime.bench.rounds import NO_DEADLINE, calibrate, interleave, medians
from textgen_runtime.engines.native import NativeEngine
from textgen_runtime.generation.loading import open_model
from textgen_runtime.generation.model import Model

from benchmarks.budgets import TEMPERATURE, make_model

HIDE_AVX512 = Path(__file__).with_name("hide_avx512.c")

THREADS = 2

# The budgets.
MAX_ROOFLINE, MAX_ROOFLINE_AVX512 = 1.3, 1.25
# By the number of streams, the throughput relative to onnxruntime, whose products suit many streams.
MIN_AHEAD = {16: 1.3, 64: 1.3, 256: 1.0}
MIN_GAIN = 1.7


@dataclass(frozen=True)
class NamedKernels(BenchContext):
    """A model whose native engine uses the instruction set with the name ``kernels``."""

    kernels: str = ""

    def model(self, engine: str, threads: int = 1) -> Model:
        if engine != "native":
            return super().model(engine, threads)
        native = NativeEngine(self.content, threads, self.kernels)
        if native.name != f"native ({self.kernels})":
            sys.exit(f"the engine is {native.name}, not native ({self.kernels})")
        return Model(native, open_model(self.content).metadata, self.content, None)


def print_figure(name: str, measured: float, budget: float, detail: str, *, is_minimum: bool = True) -> bool:
    """Print a row of the table; return whether the budget is met."""
    met = measured >= budget if is_minimum else measured <= budget
    sign = ">=" if is_minimum else "<="
    print(
        f"{name:<52} {measured:>6.2f} {sign} {budget:<5g} {'ok' if met else 'MISSED':<7} {detail}", flush=True
    )
    return met


def measure_one_stream(bench: NamedKernels) -> bool:
    """Compare one stream with the time to read the weights once."""
    core = NativeEngine(bench.content, kernels=bench.kernels).core
    candidates = {
        "stream": calibrate(bench.generator("native")),
        "roofline": calibrate(core.read_weights),
    }
    seconds = medians(interleave(candidates, bench.seconds))
    budget = MAX_ROOFLINE_AVX512 if bench.kernels.startswith("avx512") else MAX_ROOFLINE
    detail = f"{seconds['stream'] * 1e6:.2f} us, weights read once {seconds['roofline'] * 1e6:.2f} us"
    name = f"{bench.kernels}: one stream / weights read once"
    return print_figure(name, seconds["stream"] / seconds["roofline"], budget, detail, is_minimum=False)


def measure_many_streams(bench: NamedKernels, streams: int) -> bool:
    """Compare many streams with onnxruntime, and two threads with one."""
    rounds, _ = measure_streams(bench, streams, NO_DEADLINE)
    rates = {name: streams / median for name, median in medians(rounds).items()}
    met = True
    for threads in range(1, THREADS + 1):
        label = f"{threads} thread{'s' * (threads > 1)}"
        native, other = rates[f"native, {label}"], rates[f"onnxruntime batched, {label}"]
        name = f"{bench.kernels}: {streams} streams, {label} / onnxruntime"
        met &= print_figure(
            name, native / other, MIN_AHEAD[streams], f"{native:,.0f}/s, onnxruntime {other:,.0f}/s"
        )
    gain = rates[f"native, {THREADS} threads"] / rates["native, 1 thread"]
    return met & print_figure(f"{bench.kernels}: {streams} streams, second thread", gain, MIN_GAIN, "")


@contextmanager
def hidden_avx512(folder: Path) -> Iterator[bool]:
    """Hide AVX-512 from libraries that are loaded in this context; yield whether that is possible."""
    library = folder / "hide_avx512.so"
    compiler = shutil.which("cc")
    command = [compiler or "cc", "-O2", "-shared", "-fPIC", str(HIDE_AVX512), "-o", str(library)]
    if compiler is None or subprocess.run(command, check=False, capture_output=True).returncode:
        yield False
        return
    functions = ctypes.CDLL(str(library))
    hidden = functions.hide_avx512() == 0
    try:
        yield hidden
    finally:
        functions.show_avx512()


def measure(content: bytes, kernels: str, seconds: float, folder: Path) -> bool:
    """Measure one instruction set; return whether all budgets are met."""
    if kernels == "avx2" and "avx512" in kernel_names():
        with hidden_avx512(folder) as hidden:
            open_model(content, "onnxruntime")
        print("onnxruntime " + ("sees no AVX-512" if hidden else "uses AVX-512, which could not be hidden"))
    bench = NamedKernels(content, ("native",), TEMPERATURE, seconds, THREADS, 0, kernels=kernels)
    met = [measure_one_stream(bench), *(measure_many_streams(bench, streams) for streams in MIN_AHEAD)]
    return all(met)


def main() -> None:
    """Measure the instruction sets and print the table."""
    parser = argparse.ArgumentParser(description="Measure streams against the roofline and onnxruntime.")
    parser.add_argument("model", nargs="?", type=Path, help="model file (default: one with random weights)")
    parser.add_argument("--kernels", choices=kernel_names(), help="instruction set (default: each fast one)")
    parser.add_argument("--seconds", type=float, default=10.0, help="duration of each comparison")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = options.model or make_model(Path(folder))
        if options.kernels:
            sys.exit(not measure(path.read_bytes(), options.kernels, options.seconds, Path(folder)))
        print(format_machine(describe_machine()), flush=True)
        command = [sys.executable, "-m", "benchmarks.streams", str(path), "--seconds", str(options.seconds)]
        # Float32 models run with the same instructions in avx512 and avx512vnni.
        fast = [name for name in kernel_names() if name in ("avx512", "avx2")] or kernel_names()
        codes = [subprocess.run([*command, "--kernels", name], check=False).returncode for name in fast]
    sys.exit(any(codes))


if __name__ == "__main__":
    main()
