"""How the loss depends on the length of the training text: runs on the beginnings of two texts.

    python -m benchmarks.text_lengths --folder FOLDER

What ``text_lengths.jsonl`` lacks is trained with ``textgen-train`` and one thread, and appended there. The
tables of ``docs/how-much-text.md`` are printed. A run is given in epochs, so that its losses do not depend on
the speed of the machine.

One text is the corpus tinyshakespeare. The other one is the source code of Python's standard library. It is
longer than 10 MB and on every machine, and depends on the version of the interpreter.
"""

import argparse
import json
import random
import subprocess
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import textgen_runtime as textgen
from textgen_runtime.bench.report import describe_machine
from textgen_runtime.corpora.corpus import read_corpus
from textgen_runtime.corpora.sources import METRICS_FILE
from textgen_runtime.scoring.copies import copied_shares, draw_texts

RESULTS = Path(__file__).with_name("text_lengths.jsonl")
PRESET = "small"
# The end of the text, which no run is trained on.
HELD_OUT_CHARACTERS = 100_000
# Of the copies and the sample.
TEMPERATURE = 0.5
# Text -> what the line of a sample continues. LINE_LENGTH is its maximum length.
PROMPTS = {"tinyshakespeare": "First Citizen:\n", "python": "    def "}
LINE_LENGTH = 60
HEAD = "| characters | epochs | loss | training loss | copied | a line |\n|---:|---:|---:|---:|---:|---|"


class Run(NamedTuple):
    """A run: a text, the number of characters from its beginning, and the number of passes over them."""

    text: str
    characters: int
    epochs: int


RUNS = (
    *(
        Run("tinyshakespeare", characters, epochs)
        for characters, epochs in ((10_000, 100), (30_000, 100), (100_000, 50), (300_000, 17), (1_000_000, 5))
    ),
    *(
        Run("python", characters, epochs)
        for characters, epochs in (
            (10_000, 100),
            (100_000, 50),
            (1_000_000, 5),
            (1_000_000, 20),
            (10_000_000, 2),
        )
    ),
)


def read_text(name: str) -> str:
    """Return a text of ``PROMPTS``."""
    if name != "python":
        return read_corpus(name).text
    paths = sorted(Path(sysconfig.get_path("stdlib")).rglob("*.py"))
    modules = [path.read_bytes() for path in paths if "site-packages" not in path.parts]
    random.Random(0).shuffle(modules)
    return "\n".join(module.decode() for module in modules if module.isascii())


def measure(run: Run, folder: Path) -> dict[str, Any]:
    """Train a model in a folder, and return what the page shows of it, and what this depends on."""
    text = read_text(run.text)
    training = text[: run.characters]
    name = folder / "-".join(map(str, run))
    path, held_out_path, output = (name.with_suffix(suffix) for suffix in (".txt", ".held-out.txt", ".model"))
    path.write_text(training, encoding="utf-8")
    held_out_path.write_text(text[-HELD_OUT_CHARACTERS:], encoding="utf-8")
    command = [sys.executable, "-m", "textgen_train", str(path), "--held-out-file", str(held_out_path)]
    command += ["--preset", PRESET, "--epochs", str(run.epochs), "--threads", "1", "--no-samples"]
    subprocess.run([*command, "--overwrite", "-o", str(output)], check=True)
    metrics = map(json.loads, (output / METRICS_FILE).read_text(encoding="utf-8").splitlines())
    best = min(metrics, key=lambda evaluation: evaluation["held_out_nats"])
    model = textgen.load(output)
    return {
        **run._asdict(),
        "nats": round(best["held_out_nats"], 4),
        "training_nats": round(best["training_eval_nats"], 4),
        "best_epoch": best["epoch"],
        "copied": round(copied_shares(draw_texts(model, [TEMPERATURE]), training)[TEMPERATURE], 4),
        "line": model.generate(
            PROMPTS[run.text], length=LINE_LENGTH, temperature=TEMPERATURE, seed=1, stop="\n"
        ),
        "recipe": model.training["recipe"],
        "processor": describe_machine()["processor"],
        "date": datetime.now(UTC).date().isoformat(),
    }


def read_results() -> dict[Run, Mapping[str, Any]]:
    """Return the results of the runs."""
    lines = RESULTS.read_text(encoding="utf-8").splitlines() if RESULTS.exists() else ()
    return {Run(*(result[name] for name in Run._fields)): result for result in map(json.loads, lines)}


def row(result: Mapping[str, Any]) -> str:
    """Return a row of a table."""
    line = result["line"].replace("|", "\\|")
    losses = f"{result['nats']:.3f} | {result['training_nats']:.3f} | {result['copied']:.1%}"
    return f"| {result['characters']:,} | {result['epochs']} | {losses} | `{line}` |"


def main(argv: Sequence[str] | None = None) -> None:
    """Run what is missing, and print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--folder", type=Path, default=Path(), help="folder of the texts and models (default: .)"
    )
    folder = parser.parse_args(argv).folder
    for run in RUNS:
        if run not in read_results():
            result = measure(run, folder)
            with RESULTS.open("a", encoding="utf-8") as file:
                file.write(json.dumps(result) + "\n")
    results = read_results()
    for text in PROMPTS:
        print(f"{text}\n\n{HEAD}\n" + "\n".join(row(results[run]) for run in RUNS if run.text == text) + "\n")


if __name__ == "__main__":
    main()
