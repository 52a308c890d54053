"""Measures the runtime against its budgets, each as a ratio to a baseline in the same run.

    python benchmarks/budgets.py [MODEL] [--characters 10000000]

Without a MODEL it makes one of 128 units and 59 characters with random weights, which takes as long to run as
a trained one. A budget that is missed makes the exit code 1.
"""

import argparse
import compileall
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import sleep

import numpy as np
import psutil
import textgen_runtime as textgen
from numpy.typing import NDArray
from textgen_runtime.bench._loops import HandWritten
from textgen_runtime.bench._processes import RUN, SHORT_RUN, finished, python
from textgen_runtime.bench._rounds import Contestant, interleave, medians, sized
from textgen_runtime.bench.machine import machine
from textgen_runtime.model_file.graph_names import CELL, HIDDEN, OUTPUTS, TOKEN
from textgen_runtime.model_file.metadata import Metadata
from textgen_runtime.model_file.network import lstm_network
from textgen_runtime.text.character_tokenizer import CharacterTokenizer

UNITS, EMBEDDING, VOCABULARY = 128, 64, 59
TEMPERATURE = 0.5
SECONDS = 3.0
MEBIBYTE = 2**20

ROOT = Path(__file__).parent.parent
CORE = ROOT / "runtime" / "core"
EXAMPLE = ROOT / "examples" / "generate.c"


@dataclass(frozen=True)
class Line:
    """One row of the table: a figure, what it may be at most, and what it was made of."""

    what: str
    measured: float
    unit: str
    budget: float | None
    detail: str = ""

    @property
    def missed(self) -> bool:
        return self.budget is not None and self.measured > self.budget

    def __str__(self) -> str:
        budget = "" if self.budget is None else f"<= {self.budget:g}"
        verdict = "" if self.budget is None else "MISSED" if self.missed else "held"
        return f"{self.what:<46} {self.measured:>8.2f} {self.unit:<3} {budget:>7} {verdict:<7} {self.detail}"


def step_budget(content: bytes, path: Path) -> list[Line]:
    """One step through the onnxruntime engine beside a bare loop over the same session settings."""
    engine = textgen.load(path, engine="onnxruntime").engine
    session = HandWritten(content, 1, TEMPERATURE).session
    tokens = np.array([[1]], np.int64)

    def bare(steps: int) -> None:
        hidden, cell = engine.initial_state().values()
        for _ in range(steps):
            _, hidden, cell = session.run(OUTPUTS, {TOKEN: tokens, HIDDEN: hidden, CELL: cell})

    def ours(steps: int) -> None:
        state = engine.initial_state()
        for _ in range(steps):
            _, state = engine.forward(tokens, state)

    middle = medians(interleave({"ours": sized(ours), "bare": sized(bare)}, SECONDS))
    detail = f"{middle['ours'] * 1e6:.1f} us, bare session.run {middle['bare'] * 1e6:.1f} us"
    return [
        Line("onnxruntime engine / a bare session.run", middle["ours"] / middle["bare"], "x", 1.5, detail)
    ]


def draw_budget() -> list[Line]:
    """One draw from 59 logits, called from Python, beside the textbook's function in numpy."""
    logits = np.random.default_rng(0).normal(0, 3, VOCABULARY).astype(np.float32)
    sampler = textgen.Sampler(TEMPERATURE, seed=0)
    random = np.random.RandomState(0)
    distribution = textgen.softmax(logits)

    def ours(draws: int) -> None:
        for _ in range(draws):
            sampler.draw(logits)

    def textbook(draws: int) -> None:
        for _ in range(draws):
            weights = np.exp(np.log(distribution.astype(np.float64)) / TEMPERATURE)
            np.argmax(random.multinomial(1, weights / np.sum(weights), 1))

    middle = medians(interleave({"ours": sized(ours), "textbook": sized(textbook)}, SECONDS))
    detail = f"the textbook's numpy function {middle['textbook'] * 1e6:.1f} us"
    return [
        Line("one draw from 59 logits", middle["ours"] * 1e6, "us", 0.5, detail),
        Line("the textbook's function / one draw", middle["textbook"] / middle["ours"], "x", None),
    ]


def classic_ratio(content: bytes, path: Path) -> list[Line]:
    """Each engine beside the textbook's loop, which reads the last 60 characters again for each new one."""
    contestants = {"classic": sized(HandWritten(content, 1, TEMPERATURE).classic)}
    for engine in ("native", "onnxruntime"):
        model = textgen.load(path, engine=engine)
        contestants[engine] = sized(model.start(temperature=TEMPERATURE, seed=0).take)
    middle = medians(interleave(contestants, SECONDS))
    speed = {name: 1 / each for name, each in middle.items()}
    detail = ", ".join(f"{name} {each:,.0f}/s" for name, each in speed.items())
    return [
        Line(
            f"{name} / window re-read",
            speed[name] / speed["classic"],
            "x",
            None,
            f"{speed[name]:,.0f}; {detail}",
        )
        for name in ("native", "onnxruntime")
    ]


def installed_python(program: str, *arguments: str) -> list[str]:
    """A command line that imports the packages as fast as an ordinary installation does.

    The finder of an editable installation imports a dozen modules when Python starts. Python's ``-S`` leaves
    it out.
    """
    folders = [str(Path(module.__file__).parents[1]) for module in (textgen, np) if module.__file__]
    interpreter, *rest = python(f"import sys; sys.path += {folders!r}; {program}", *arguments)
    return [interpreter, "-S", *rest]


def start_budget(path: Path) -> list[Line]:
    """400 characters in a fresh textgen-run beside a fresh import of numpy."""
    # pip does this when it installs; an editable package may be in a folder where Python writes no bytecode.
    compileall.compile_dir(Path(textgen.__file__).parent, quiet=1)
    run = installed_python(RUN, str(path), "--no-echo", "--length", str(SHORT_RUN))
    contestants = {
        "run": Contestant(lambda: finished(run), 1),
        "import": Contestant(lambda: finished(installed_python("import numpy")), 1),
    }
    middle = medians(interleave(contestants, SECONDS))
    detail = f"{middle['run'] * 1e3:.0f} ms, import {middle['import'] * 1e3:.0f} ms"
    what = f"{SHORT_RUN} characters, fresh / import numpy"
    return [Line(what, middle["run"] / middle["import"], "x", 0.6, detail)]


def program_budget(path: Path, folder: Path) -> list[Line]:
    """400 characters of the example in C beside a program in C that does nothing."""
    compiler = shutil.which("cc")
    if compiler is None or not EXAMPLE.exists():
        return []
    empty = folder / "empty.c"
    empty.write_text("int main(void) { return 0; }\n", encoding="ascii")
    sources = {"example": [EXAMPLE, *CORE.rglob("*.c")], "empty": [empty]}
    for name, files in sources.items():
        subprocess.run(
            [compiler, "-O2", f"-I{CORE}", *map(str, files), "-lm", "-o", str(folder / name)], check=True
        )
    prompt = textgen.load(path).prompts[0]
    run = [str(folder / "example"), str(path), prompt, str(TEMPERATURE), "0", str(SHORT_RUN)]
    contestants = {
        "example": Contestant(lambda: finished(run), 1),
        "empty": Contestant(lambda: finished([str(folder / "empty")]), 1),
    }
    middle = medians(interleave(contestants, SECONDS))
    milliseconds = {name: each * 1e3 for name, each in middle.items()}
    detail = ", ".join(f"{name} {each:.1f} ms" for name, each in milliseconds.items())
    what = f"{SHORT_RUN} characters of the example in C"
    return [Line(what, milliseconds["example"] - milliseconds["empty"], "ms", 5, detail)]


def memory_budget(path: Path, characters: int, engine: str) -> list[Line]:
    """Resident memory of a long textgen-run, early and late."""
    samples: list[int] = []
    command = python(RUN, str(path), "--length", str(characters), "--engine", engine)
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        watched = psutil.Process(process.pid)
        while process.poll() is None:
            try:
                samples.append(watched.memory_info().rss)
            except psutil.NoSuchProcess:
                break
            sleep(0.05)
    # The last reading may be of a process that is going away.
    running = [sample / MEBIBYTE for sample in samples[:-1]]
    settled = running[len(running) // 4 :]
    detail = f"{characters:,} characters"
    growth = settled[-1] - settled[0]
    return [
        Line(f"resident memory, {engine}", max(running), "MiB", 22 if engine == "native" else 80, detail),
        Line("its growth over the last three quarters", growth, "MiB", 1),
    ]


def make_model(folder: Path) -> Path:
    """A model of the textbook's size with random weights."""
    from textgen_train.export.onnx_graph import build_model

    random = np.random.default_rng(0)

    def normal(*shape: int) -> NDArray[np.float32]:
        return random.normal(0, 0.1, shape).astype(np.float32)

    weights = [
        {"weight": normal(VOCABULARY, EMBEDDING)},
        {
            "input": normal(4 * UNITS, EMBEDDING),
            "recurrent": normal(4 * UNITS, UNITS),
            "bias": normal(4 * UNITS),
        },
        {"weight": normal(VOCABULARY, UNITS), "bias": normal(VOCABULARY)},
    ]
    network = lstm_network(VOCABULARY, embedding=EMBEDDING, units=UNITS)
    symbols = [chr(ord("A") + i) for i in range(VOCABULARY)]
    path = folder / "model.onnx"
    path.write_bytes(
        build_model(
            network, weights, Metadata(CharacterTokenizer(symbols), prompts=("ABC",))
        ).SerializeToString()
    )
    return path


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Measure the runtime against its budgets.")
    parser.add_argument("model", nargs="?", type=Path, help="a model file (default: random weights)")
    parser.add_argument("--characters", type=int, default=1_000_000, help="length of the memory runs")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = arguments.model or make_model(Path(folder))
        content = path.read_bytes()
        print(", ".join(f"{name} {value}" for name, value in machine().items()))
        measurements: list[Callable[[], list[Line]]] = [
            lambda: step_budget(content, path),
            draw_budget,
            lambda: classic_ratio(content, path),
            lambda: start_budget(path),
            lambda: program_budget(path, Path(folder)),
            lambda: memory_budget(path, arguments.characters, "native"),
            lambda: memory_budget(path, arguments.characters, "onnxruntime"),
        ]
        missed = False
        for measure in measurements:
            for line in measure():
                print(line, flush=True)
                missed |= line.missed
    sys.exit(missed)


if __name__ == "__main__":
    main()
