"""Compare presets, n-gram models and compressors on the same held-out texts.

    python -m benchmarks.quality [--runs small:1 small:22e] [-- --threads 1]

Completed models are not trained again, so that hours of training can be spread over several runs. Train on an
idle machine. A model file holds the model with the lowest held-out loss. The speed is that of one text in the
native engine, with float32 and with 8-bit weights, which alternate. The figure of a compressor is the size of
both texts together minus the size of the training text, when compressed.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import perf_counter

import numpy as np
import textgen_runtime as textgen
from textgen_runtime.baselines import KneserNey, compressed_bits
from textgen_runtime.bench.report import Section, per_second
from textgen_runtime.bench.rounds import calibrate, interleave, medians
from textgen_runtime.corpus import METRICS_FILE
from textgen_runtime.model_file import MODEL_FILE
from textgen_runtime.score import BITS_PER_NAT
from textgen_train import Config, read_dataset
from textgen_train.quantize import convert

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

Row = tuple[str, Sequence[str]]


def make_row(name: str, nats: float, *, before: Sequence[str] = (), after: Sequence[str] = ()) -> Row:
    """Return a row. Cells that do not apply are empty."""
    losses = (f"{nats:.4f}", f"{nats * BITS_PER_NAT:.3f}")
    return name, [*before, *[""] * (4 - len(before)), *losses, *after, *[""] * (3 - len(after))]


def format_duration(seconds: float) -> str:
    """Format a duration, such as "59.0 s" or "10.0 min"."""
    return f"{seconds:.1f} s" if seconds < 100 else f"{seconds / 60:.1f} min"  # noqa: PLR2004


def trained_model(corpus: str, run: str, folder: Path, options: Sequence[str]) -> Path:
    """Return the folder of a trained model. Train the model first if the folder does not exist.

    Args:
        corpus: A key of ``CORPORA``.
        run: Preset and minutes, such as "small:10", or preset and epochs, such as "small:22e".
        folder: Parent folder of the models.
        options: Further options of ``textgen-train``.
    """
    preset, length = run.split(":")
    target = folder / f"{corpus}-{preset}-{length}"
    if not target.exists():
        budget = ["--epochs", length[:-1]] if length.endswith("e") else ["--minutes", length]
        command = [sys.executable, "-m", "textgen_train", *options, corpus, "--preset", preset, *budget]
        command += ["--held-out", str(HELD_OUT), "--no-samples", *["--lowercase"] * CORPORA[corpus]]
        # A separate name until training is complete.
        partial = target.with_name(f"{target.name}.partial")
        subprocess.run([*command, "--overwrite", "-o", str(partial)], check=True)
        partial.rename(target)
    return target


def model_row(run: str, folder: Path, text: str) -> Row:
    """Score a trained model with the runtime, and with 8-bit weights."""
    path = folder / MODEL_FILE
    models = convert(path.read_bytes())
    last = json.loads((folder / METRICS_FILE).read_text(encoding="utf-8").splitlines()[-1])
    nats, quantized = (textgen.predict(model, text, last=HELD_OUT).score.nats for model in models)
    texts = {str(i): calibrate(model.start(seed=0).take) for i, model in enumerate(models)}
    speeds = medians(interleave(texts, SPEED_SECONDS)).values()
    preset, length = run.split(":")
    size, parameters = path.stat().st_size, models[0].training["parameters"]
    return make_row(
        f"{preset}, {length[:-1]} epochs" if length.endswith("e") else f"{preset}, {length} min",
        nats,
        before=[
            f"{parameters:,}",
            f"{size / 1e6:.2f} MB",
            f"{last['epoch']:,.0f}",
            format_duration(last["seconds"]),
        ],
        after=[f"{quantized - nats:+.4f}", *map(per_second, speeds)],
    )


def rows(corpus: str, arguments: argparse.Namespace) -> Iterator[Row]:
    """Yield all rows of a corpus."""
    dataset = read_dataset(Config(corpus, lowercase=CORPORA[corpus], held_out=HELD_OUT))
    tokens = [np.asarray(part) for part in (dataset.tokens.training, dataset.tokens.held_out)]
    training, held_out = (
        dataset.text_of(part) for part in (dataset.tokens.training, dataset.tokens.held_out)
    )
    before, after = compressed_bits(training), compressed_bits(training + held_out)
    for name, bits in after.items():
        yield make_row(
            f"{name}, after the training text", (bits - before[name]) / len(held_out) / BITS_PER_NAT
        )
    for order in ORDERS:
        start = perf_counter()
        ngrams = KneserNey(tokens[0], order, len(dataset.tokenizer))
        seconds = perf_counter() - start
        nats = float(ngrams.surprisals(tokens[1], tokens[0]).sum() / len(held_out))
        cells = [f"{ngrams.parameter_count:,}", "", "", format_duration(seconds)]
        yield make_row(f"{order}-gram", nats, before=cells)
    for run in arguments.runs:
        yield model_row(
            run, trained_model(corpus, run, arguments.folder, arguments.options), dataset.source.text
        )


def main(argv: Sequence[str] | None = None) -> None:
    """Print a table for each corpus."""
    command = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    command.add_argument("--corpora", nargs="+", choices=CORPORA, default=list(CORPORA), help="default: all")
    command.add_argument(
        "--runs",
        nargs="*",
        metavar="PRESET:LENGTH",
        default=RUNS,
        help="a length is in minutes, or in epochs with an e at its end (default: " + " ".join(RUNS) + ")",
    )
    command.add_argument(
        "--folder", type=Path, default=Path("quality-models"), help="default: quality-models"
    )
    command.add_argument("options", nargs="*", help="options of textgen-train, after --")
    arguments = command.parse_args(argv)
    for corpus in arguments.corpora:
        title = f"{corpus}{', lower case' * CORPORA[corpus]}, last {HELD_OUT:.0%} held out"
        print(Section(title, COLUMNS, list(rows(corpus, arguments))), end="\n\n")


if __name__ == "__main__":
    main()
