"""Compare what runs reach in some minutes, n-gram models and compressors on the same held-out texts.

    python -m benchmarks.quality [--corpora nietzsche novel.txt] [--runs 1m small:22e] [-- --threads 1]

A run is a number of minutes, such as 20m, or of epochs, such as 22e. A preset may come before it, as in
small:22e, and after it another run whose model teaches this one, as in small:230e@20m.

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
from typing import Any

import numpy as np
import textgen_runtime as textgen
from textgen_runtime.baselines import KneserNey, compressed_bits
from textgen_runtime.bench.report import Section, per_second
from textgen_runtime.bench.rounds import calibrate, interleave, medians
from textgen_runtime.cli.bench import start
from textgen_runtime.corpus import METRICS_FILE
from textgen_runtime.model_file import MODEL_FILE
from textgen_runtime.score import BITS_PER_NAT
from textgen_train import Config, read_dataset
from textgen_train.progress import format_duration
from textgen_train.quantize import convert

HELD_OUT = 0.1
# Corpus -> its options, as in published results. A corpus that is not here has none.
CORPORA: dict[str, dict[str, Any]] = {
    "nietzsche": {"lowercase": True},
    "tinyshakespeare": {},
    "names": {"records": "lines"},
}
RUNS = ("1m", "5m", "20m", "60m", "small:500e@20m")
UNITS = {"m": "--minutes", "e": "--epochs"}
ORDERS = (4, 7, 10)
COLUMNS = (
    "parameters",
    "size",
    "epochs",
    "training",
    "guesses right",
    "nats",
    "nats, 8 bits",
    "characters/s",
    "8 bits",
)

# The time in which the speeds of a model are measured.
SPEED_SECONDS = 3.0

Row = tuple[str, Sequence[str]]


def make_row(name: str, nats: float, *, before: Sequence[str] = (), after: Sequence[str] = ()) -> Row:
    """Return a row. Cells that do not apply are empty."""
    return name, [*before, *[""] * (5 - len(before)), f"{nats:.4f}", *after, *[""] * (3 - len(after))]


def trained_model(corpus: str, run: str, folder: Path, options: Sequence[str]) -> Path:
    """Return the folder of a trained model. Train the model, and its teacher, if the folder does not exist.

    Args:
        corpus: A key of ``CORPORA``, or the path of a corpus.
        run: A run, as the docstring of this module describes.
        folder: Parent folder of the models.
        options: Further options of ``textgen-train``.
    """
    target = folder / f"{Path(corpus).stem}-{run.replace(':', '-')}"
    if not target.exists():
        own, _, teacher = run.partition("@")
        preset, _, length = own.rpartition(":")
        command = [sys.executable, "-m", "textgen_train", *options, corpus, UNITS[length[-1]], length[:-1]]
        command += ["--preset", preset] if preset else []
        for name, value in CORPORA.get(corpus, {}).items():
            command += [f"--{name}", *[value] * (value is not True)]
        if teacher:
            command += ["--teacher", str(trained_model(corpus, teacher, folder, options))]
        # A separate name until training is complete.
        partial = target.with_name(f"{target.name}.partial")
        command += ["--held-out", str(HELD_OUT), "--no-samples", "--overwrite", "-o", str(partial)]
        subprocess.run(command, check=True)
        partial.rename(target)
    return target


def model_row(run: str, folder: Path, text: str) -> Row:
    """Score a trained model with the runtime, and with 8-bit weights."""
    path = folder / MODEL_FILE
    models = convert(path.read_bytes())
    last = json.loads((folder / METRICS_FILE).read_text(encoding="utf-8").splitlines()[-1])
    score, quantized = (textgen.predict(model, text, last=HELD_OUT).score for model in models)
    texts = {str(i): calibrate(start(model, 0.5).take) for i, model in enumerate(models)}
    speeds = medians(interleave(texts, SPEED_SECONDS)).values()
    size, parameters = path.stat().st_size, models[0].training["parameters"]
    return make_row(
        run,
        score.nats,
        before=[
            f"{parameters:,}",
            f"{size / 1e6:.2f} MB",
            f"{last['epoch']:,.0f}",
            format_duration(last["seconds"]),
            f"{score.accuracy:.1%}",
        ],
        after=[f"{quantized.nats - score.nats:+.4f}", *map(per_second, speeds)],
    )


def rows(corpus: str, arguments: argparse.Namespace) -> Iterator[Row]:
    """Yield all rows of a corpus."""
    dataset = read_dataset(Config(corpus, held_out=HELD_OUT, **CORPORA.get(corpus, {})))
    tokens = [np.asarray(part) for part in (dataset.tokens.training, dataset.tokens.held_out)]
    training, held_out = (
        dataset.text_of(part) for part in (dataset.tokens.training, dataset.tokens.held_out)
    )
    before, after = compressed_bits(training), compressed_bits(training + held_out)
    for name, bits in after.items():
        nats = (bits - before[name]) / len(held_out) / BITS_PER_NAT
        yield make_row(f"{name}, after the training text", nats)
    for order in ORDERS:
        ngrams = KneserNey(tokens[0], order, len(dataset.tokenizer))
        nats = float(ngrams.surprisals(tokens[1], tokens[0]).sum() / len(held_out))
        yield make_row(f"{order}-gram", nats, before=[f"{ngrams.parameter_count:,}"])
    for run in arguments.runs:
        yield model_row(
            run, trained_model(corpus, run, arguments.folder, arguments.options), dataset.source.text
        )


def main(argv: Sequence[str] | None = None) -> None:
    """Print a table for each corpus."""
    command = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    command.add_argument(
        "--corpora",
        nargs="+",
        default=list(CORPORA),
        help="names or paths (default: " + " ".join(CORPORA) + ")",
    )
    command.add_argument(
        "--runs",
        nargs="*",
        metavar="[PRESET:]LENGTH[@TEACHER]",
        default=RUNS,
        help="default: " + " ".join(RUNS),
    )
    command.add_argument(
        "--folder", type=Path, default=Path("quality-models"), help="default: quality-models"
    )
    command.add_argument("options", nargs="*", help="options of textgen-train, after --")
    arguments = command.parse_args(argv)
    for corpus in arguments.corpora:
        options = CORPORA.get(corpus, {})
        part = f"{'a random' if 'records' in options else 'the last'} {HELD_OUT:.0%} held out"
        title = f"{Path(corpus).stem}{', lower case' * ('lowercase' in options)}, {part}"
        print(Section(title, COLUMNS, list(rows(corpus, arguments))), end="\n\n")


if __name__ == "__main__":
    main()
