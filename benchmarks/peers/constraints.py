"""Compare constrained generation with other libraries.

    python -m benchmarks.peers.constraints

The work is the same for all: texts that match an expression, over the vocabulary of the bundled model. The
row "native" generates them with the model, one call per text. The other rows are loops in Python without the
model: a mask, a draw and a step for each character. "tables" are the tables of this project. All run in an
environment in build/peers, in alternating rounds. The tables show medians.
"""

import datetime as dt
import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import textgen_runtime as textgen
from textgen_runtime.bench.machine import describe_machine
from textgen_runtime.bench.report import Section, microseconds, times

from benchmarks.peers.run import HERE, ROOT, environment

MODEL = "nietzsche-float32"
ROUNDS = 3
TEXTS = 1000
LENGTH = 60
TEMPERATURE = 1.0
LIBRARIES = ("native", "tables", "outlines_core", "llguidance")
EXPRESSIONS = {
    "number": r"-?(0|[1-9][0-9]*)(\.[0-9]+)?",
    "ISO date": "1[89][0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])",
    "two words": "[a-z]{2,9} [a-z]{2,9}",
    # The bundled model has no braces.
    "JSON array": r'\["[a-z]{2,12}",(0|[1-9][0-9]{0,3}),(true|false|null)\]',
}
# One more repetition doubles the states.
EXPLODING = [f"(a|b)*a(a|b){{{count}}}" for count in (12, 14, 16, 20)]
SECONDS, BYTES = 60, 2 << 30


def run(python: Path, library: str, task: dict[str, Any], seconds: int | None = None) -> dict[str, Any] | str:
    """Return the results of one library, or how it failed."""
    try:
        result = subprocess.run(
            [python, HERE / "constrained_loop.py", library],
            check=False,
            input=json.dumps(task).encode(),
            capture_output=True,
            timeout=seconds,
            cwd=HERE,
        )
    except subprocess.TimeoutExpired:
        return f"more than {seconds} s"
    if result.returncode:
        lines = result.stderr.decode(errors="replace").splitlines() or [f"exit code {result.returncode}"]
        return lines[-1]
    answer: dict[str, Any] = json.loads(result.stdout)
    return answer


def compare(python: Path, task: dict[str, Any]) -> list[Section]:
    """Measure all libraries in alternating rounds. Return a table for each expression."""
    rounds: dict[str, list[dict[str, Any]]] = {library: [] for library in LIBRARIES}
    for _ in range(ROUNDS):
        for library, results in rounds.items():
            answer = run(python, library, task | {"expressions": list(EXPRESSIONS.values())})
            if isinstance(answer, str):
                sys.exit(f"{library} failed: {answer}")
            results.append(answer)

    def median(library: str, expression: str, figure: str) -> float:
        return float(statistics.median(answer["results"][expression][figure] for answer in rounds[library]))

    sections = []
    for name, expression in EXPRESSIONS.items():
        tables = median("tables", expression, "character")
        rows = []
        for library, answers in rounds.items():
            seconds = median(library, expression, "character")
            compiled = (
                "" if library == "native" else f"{1000 * median(library, expression, 'compile'):.2f} ms"
            )
            cut = f"{median(library, expression, 'cut') / TEXTS:.1%}"
            label = f"{library}, with the model" if library == "native" else library
            version = answers[0]["version"]
            rows.append((label, [version, microseconds(seconds), times(seconds / tables), compiled, cut]))
        columns = ["version", "per character", "time / tables", "compile", "not ended"]
        sections.append(Section(f"{name}: {expression}", columns, rows))
    return sections


def explode(python: Path, task: dict[str, Any]) -> Section:
    """Compile expressions that need many states."""
    rows = []
    for expression in EXPLODING:
        cells = []
        for library in LIBRARIES[1:]:
            answer = run(python, library, task | {"expressions": [expression]}, SECONDS)
            if isinstance(answer, str):
                cells.append(
                    next((short for word, short in FAILURES.items() if word in answer), answer[-40:])
                )
                continue
            figures = answer["results"][expression]
            cells.append(f"{1000 * figures['compile']:,.1f} ms, {microseconds(figures['character'])}")
        rows.append((expression, cells))
    return Section("exploding expressions: time to compile, and per character", LIBRARIES[1:], rows)


FAILURES = {"ConstraintError": "refused", "exit code": f"more than {BYTES >> 30} GiB"}


def main() -> None:
    """Print the tables."""
    model = textgen.load(MODEL)
    task = {
        "model": MODEL,
        "symbols": list(model.tokenizer.symbols),
        "logits": list(map(float, model.start("\n").logits)),
        "texts": TEXTS,
        "length": LENGTH,
        "temperature": TEMPERATURE,
        "memory": BYTES,
    }
    python = environment([str(ROOT), "outlines_core", "llguidance", "numpy"])
    machine = describe_machine()
    print(f"{machine['processor']}, {machine['cores']} cores, Python {machine['python']}, {dt.date.today()}")
    for section in [*compare(python, task), explode(python, task)]:
        print(section)


if __name__ == "__main__":
    main()
