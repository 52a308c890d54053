"""Compare presets, n-gram models and compressors on the same held-out texts.

python -m benchmarks.quality.table

Completed models are not trained again, so that hours of training can be spread over several runs. The
training time is read from the metrics.jsonl of the model. Train on an idle machine.

A model file holds the model with the lowest held-out loss. The column "nats, 8 bits" shows by how much 8-bit
weights change this loss. The speed is that of one text in the native engine, with float32 and with 8-bit
weights, which alternate. The figure of a compressor is the size of both texts together minus the size of the
training text, when compressed.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import textgen_runtime as textgen
from textgen_runtime.bench.report import Section, per_second
from textgen_runtime.bench.rounds import calibrate, interleave, medians
from textgen_runtime.corpora.corpus import read_corpus
from textgen_runtime.corpora.sources import METRICS_FILE
from textgen_runtime.model_file.source import MODEL_FILE
from textgen_runtime.scoring.baselines import KneserNey, compressed_bits
from textgen_runtime.scoring.prediction import BITS_PER_NAT
from textgen_runtime.text.normalization import Normalization
from textgen_train.cli._arguments import parse
from textgen_train.data.dataset_from_corpus import make_dataset
from textgen_train.export.quantizer import quantize_model
from textgen_train.loop.specification import stored_recipe
from textgen_train.presets import NO_REGULARIZATION

HELD_OUT = 0.1
# Corpus -> whether to convert it to lower case, as in published results.
CORPORA = {"nietzsche": True, "tinyshakespeare": False}
RUNS = ("small:1", "small:10", "medium:30", "large:60")
ORDERS = (4, 7, 10)
COLUMNS = (
    "parameters",
    "size",
    "epochs",
    "training",
    "nats",
    "bits",
    "nats, 8 bits",
    "characters/s",
    "8 bits",
)

# The time in which the speeds of a model are measured.
SPEED_SECONDS = 3.0


@dataclass(frozen=True)
class Entry:
    """One row of the table. Fields that do not apply are None."""

    name: str
    parameters: int | None
    bytes: int | None
    seconds: float | None
    nats: float
    epochs: float | None = None
    quantized_nats: float | None = None
    character_seconds: Sequence[float] | None = None

    @property
    def cells(self) -> tuple[str, ...]:
        return (
            "" if self.parameters is None else f"{self.parameters:,}",
            "" if self.bytes is None else f"{self.bytes / 1e6:.2f} MB",
            "" if self.epochs is None else f"{self.epochs:,.0f}",
            "" if self.seconds is None else format_duration(self.seconds),
            f"{self.nats:.4f}",
            f"{self.nats * BITS_PER_NAT:.3f}",
            "" if self.quantized_nats is None else f"{self.quantized_nats - self.nats:+.4f}",
            *(("", "") if self.character_seconds is None else map(per_second, self.character_seconds)),
        )


def format_duration(seconds: float) -> str:
    """Format a duration, such as "59.0 s" or "10.0 min"."""
    return f"{seconds:.1f} s" if seconds < 100 else f"{seconds / 60:.1f} min"  # noqa: PLR2004


def trained_model(corpus: str, run: str, folder: Path, options: list[str]) -> Path:
    """Return the folder of a trained model. Train the model first if the folder does not exist.

    The program exits with an error if an existing model has another recipe, seed or normalization.

    Args:
        corpus: A key of ``CORPORA``.
        run: Preset and minutes, such as "small:10", or preset and epochs, such as "small:22e".
        folder: Parent folder of the models.
        options: Further options of ``textgen-train``.
    """
    preset, length = run.split(":")
    target = folder / f"{corpus}-{preset}-{length}"
    # These arguments follow the options, so that they take precedence.
    budget = ["--epochs", length[:-1]] if length.endswith("e") else ["--minutes", length]
    arguments = [*options, corpus, "--preset", preset, *budget, "--held-out", str(HELD_OUT)]
    arguments += ["--no-samples", *["--lowercase"] * CORPORA[corpus]]
    if not target.exists():
        # A separate name until training is complete.
        partial = target.with_name(f"{target.name}.partial")
        command = str(Path(sys.executable).with_name("textgen-train"))
        subprocess.run([command, *arguments, "--overwrite", "-o", str(partial)], check=True)
        partial.rename(target)
    requested = parse(arguments).run or sys.exit("--resume is not an option of this program")
    model = textgen.load(target / MODEL_FILE)
    # The vocabulary of all corpora is small. The regularization depends on the speed of the machine.
    expected = {**stored_recipe(requested.choose_recipe()), "seed": requested.seed}
    for name in NO_REGULARIZATION:
        if name not in requested.hyperparameters:
            del expected[name]
    different = [name for name, value in expected.items() if model.training["recipe"].get(name) != value]
    if model.metadata.normalization != Normalization(lowercase=CORPORA[corpus]):
        different.append("normalization")
    if different:
        sys.exit(
            f"{target} was trained with a different {', '.join(different)}: remove it, or choose another "
            "--folder"
        )
    return target


def last_evaluation(folder: Path) -> dict[str, float]:
    """Return the metrics of the last evaluation of a run."""
    lines = (folder / METRICS_FILE).read_text(encoding="utf-8").splitlines()
    metrics: dict[str, float] = json.loads(lines[-1])
    return metrics


def model_entry(name: str, folder: Path, corpus_text: str) -> Entry:
    """Score a trained model with the runtime."""
    model = textgen.load(folder / MODEL_FILE)
    quantized = quantize_model((folder / MODEL_FILE).read_bytes()).model
    last = last_evaluation(folder)
    return Entry(
        name,
        model.training["parameters"],
        (folder / MODEL_FILE).stat().st_size,
        last["seconds"],
        textgen.predict(model, corpus_text, last=HELD_OUT).score.nats,
        last["epoch"],
        textgen.predict(quantized, corpus_text, last=HELD_OUT).score.nats,
        seconds_per_character(model, quantized),
    )


def seconds_per_character(*models: textgen.Model) -> list[float]:
    """Return the seconds per character of models of characters, each of which generates one text."""
    texts = {str(i): calibrate(model.start(seed=0).take) for i, model in enumerate(models)}
    return list(medians(interleave(texts, SPEED_SECONDS)).values())


def entries(corpus: str, arguments: argparse.Namespace) -> Iterator[Entry]:
    """Yield all rows of a corpus."""
    text = read_corpus(corpus)
    dataset = make_dataset(text, Normalization(lowercase=CORPORA[corpus]), HELD_OUT)
    training = dataset.tokenizer.decode(dataset.training)
    held_out = dataset.tokenizer.decode(dataset.held_out)
    before, after = compressed_bits(training), compressed_bits(training + held_out)
    for name in after:
        yield Entry(
            f"{name}, after the training text",
            None,
            None,
            None,
            (after[name] - before[name]) / len(held_out) / BITS_PER_NAT,
        )
    for order in ORDERS:
        start = perf_counter()
        ngrams = KneserNey(dataset.training, order, len(dataset.tokenizer))
        seconds = perf_counter() - start
        nats = ngrams.surprisals(dataset.held_out, dataset.training).sum() / len(held_out)
        yield Entry(f"{order}-gram", ngrams.parameter_count, None, seconds, float(nats))
    for run in arguments.runs:
        folder = trained_model(corpus, run, arguments.folder, arguments.options)
        preset, length = run.split(":")
        unit = f"{length[:-1]} epochs" if length.endswith("e") else f"{length} min"
        yield model_entry(f"{preset}, {unit}", folder, text.text)


def main() -> None:
    """Print a table for each corpus."""
    command = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    command.add_argument("--corpora", nargs="+", choices=CORPORA, default=list(CORPORA), help="default: all")
    command.add_argument(
        "--runs",
        nargs="+",
        metavar="PRESET:LENGTH",
        default=RUNS,
        help="a length is in minutes, or in epochs with an e at its end (default: " + " ".join(RUNS) + ")",
    )
    command.add_argument(
        "--folder",
        type=Path,
        default=Path("quality-models"),
        help="folder of the models (default: quality-models)",
    )
    command.add_argument(
        "options", nargs="*", help="options of textgen-train, after --, for example: -- --threads 1"
    )
    arguments = command.parse_args()
    for corpus in arguments.corpora:
        rows = [(entry.name, entry.cells) for entry in entries(corpus, arguments)]
        lower = ", lower case" * CORPORA[corpus]
        print(Section(f"{corpus}{lower}, last {HELD_OUT:.0%} held out", COLUMNS, rows), end="\n\n")


if __name__ == "__main__":
    main()
