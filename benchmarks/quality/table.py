"""The quality table of the README: presets, n-grams and compressors on the same held-out texts.

python -m benchmarks.quality.table

A model whose training was finished before is scored and not trained again, so that hours of training can be
had in pieces; its time is the one that its own ``metrics.jsonl`` tells. Training wants the machine for
itself.

The file of a run holds the model that was best on the held-out part; the last column has what stood at the
end of the run, which no choice by that part has touched. The compressors' lines are what the held-out part
adds to the training part before it.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import textgen_runtime as textgen
from textgen_runtime.bench.report import Section
from textgen_runtime.corpora.corpus import read_corpus
from textgen_runtime.model_file.bundled import MODEL_FILE
from textgen_runtime.scoring.compressors import compressed_bits
from textgen_runtime.scoring.prediction import BITS_PER_NAT
from textgen_runtime.text.normalization import Normalization
from textgen_train.cli._arguments import parser, recipe_from
from textgen_train.data.dataset import make_dataset
from textgen_train.loop.output_folder import METRICS_FILE
from textgen_train.loop.provenance import stored_recipe

from benchmarks.quality.kneser_ney import KneserNey

HELD_OUT = 0.1
# Whether each is made lower case, as others who scored models on it did.
CORPORA = {"nietzsche": True, "tinyshakespeare": False}
RUNS = ("small:1", "small:10", "medium:30", "large:60")
ORDERS = (4, 7, 10)
COLUMNS = ("parameters", "size", "training", "nats", "bits", "nats at the end")


@dataclass(frozen=True)
class Entry:
    """One line of the table; None where something does not apply."""

    name: str
    parameters: int | None
    bytes: int | None
    seconds: float | None
    nats: float
    last_nats: float | None = None

    @property
    def cells(self) -> tuple[str, ...]:
        return (
            "" if self.parameters is None else f"{self.parameters:,}",
            "" if self.bytes is None else f"{self.bytes / 1e6:.2f} MB",
            "" if self.seconds is None else duration(self.seconds),
            f"{self.nats:.4f}",
            f"{self.nats * BITS_PER_NAT:.3f}",
            "" if self.last_nats is None else f"{self.last_nats:.4f}",
        )


def duration(seconds: float) -> str:
    """A time to read at a glance."""
    return f"{seconds:.1f} s" if seconds < 100 else f"{seconds / 60:.1f} min"  # noqa: PLR2004


def trained(corpus: str, run: str, folder: Path, options: list[str]) -> Path:
    """The folder of a run's model, after training it if it is not there.

    One that is there is taken if the recipe, the seed and the normalization in its model file are the ones
    asked for.
    """
    preset, minutes = run.split(":")
    target = folder / f"{corpus}-{preset}-{minutes}"
    # Behind the options, so that none of them takes the place of what the table says of a run.
    arguments = [*options, corpus, "--preset", preset, "--minutes", minutes, "--held-out", str(HELD_OUT)]
    arguments += ["--no-samples", *["--lowercase"] * CORPORA[corpus]]
    if not target.exists():
        # A name of its own until it is finished.
        partial = target.with_name(f"{target.name}.partial")
        command = str(Path(sys.executable).with_name("textgen-train"))
        subprocess.run([command, *arguments, "--overwrite", "-o", str(partial)], check=True)
        partial.rename(target)
    asked = parser().parse_args(arguments)
    wanted = {**stored_recipe(recipe_from(asked)), "seed": asked.seed}
    model = textgen.load(target / MODEL_FILE)
    changed = [name for name, value in wanted.items() if model.training["recipe"].get(name) != value]
    if model.metadata.normalization != Normalization(lowercase=CORPORA[corpus]):
        changed.append("normalization")
    if changed:
        sys.exit(
            f"{target} was trained with another {', '.join(changed)}: remove it, or give another --folder"
        )
    return target


def last_evaluation(folder: Path) -> dict[str, float]:
    """What a run's figures say of its end."""
    lines = (folder / METRICS_FILE).read_text(encoding="utf-8").splitlines()
    found: dict[str, float] = json.loads(lines[-1])
    return found


def model_entry(name: str, folder: Path, corpus_text: str) -> Entry:
    """A trained model, scored through the runtime."""
    model = textgen.load(folder / MODEL_FILE)
    score = textgen.predict(model, corpus_text, last=HELD_OUT).score
    last = last_evaluation(folder)
    return Entry(
        name,
        model.training["parameters"],
        (folder / MODEL_FILE).stat().st_size,
        last["seconds"],
        score.nats,
        last["held_out_nats"],
    )


def entries(corpus: str, arguments: argparse.Namespace) -> Iterator[Entry]:
    """All lines for a corpus."""
    text = read_corpus(corpus)
    dataset = make_dataset(text, Normalization(lowercase=CORPORA[corpus]), HELD_OUT)
    training = dataset.tokenizer.decode(dataset.training)
    held_out = dataset.tokenizer.decode(dataset.held_out)
    before, after = compressed_bits(training), compressed_bits(training + held_out)
    for name in after:
        yield Entry(
            f"{name}, after the training part",
            None,
            None,
            None,
            (after[name] - before[name]) / len(held_out) / BITS_PER_NAT,
        )
    for order in ORDERS:
        start = perf_counter()
        ngrams = KneserNey(training, order, len(dataset.tokenizer))
        seconds = perf_counter() - start
        nats = ngrams.nats_per_character(training, held_out)
        yield Entry(f"{order}-gram", ngrams.parameter_count, None, seconds, nats)
    for run in arguments.runs:
        folder = trained(corpus, run, arguments.folder, arguments.options)
        preset, minutes = run.split(":")
        yield model_entry(f"{preset}, {minutes} min", folder, text.text)


def main() -> None:
    """Print a table for each corpus."""
    command = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    command.add_argument("--corpora", nargs="+", choices=CORPORA, default=list(CORPORA))
    command.add_argument("--runs", nargs="+", metavar="PRESET:MINUTES", default=RUNS)
    command.add_argument("--folder", type=Path, default=Path("quality-models"), help="where the models are")
    command.add_argument(
        "options", nargs="*", help="further options of textgen-train, behind --, such as -- --threads 1"
    )
    arguments = command.parse_args()
    for corpus in arguments.corpora:
        rows = [(entry.name, entry.cells) for entry in entries(corpus, arguments)]
        lower = ", lower case" * CORPORA[corpus]
        print(Section(f"{corpus}{lower}, its last {HELD_OUT:.0%} held out", COLUMNS, rows), end="\n\n")


if __name__ == "__main__":
    main()
