"""Train one epoch of the textbook's experiment with Keras and with the recipe "classic".

python -m benchmarks.quality.classic

Both train on the same windows of the complete text, one after the other. Keras computes in float32, in a
separate environment that is created on the first run.
"""

import json
import subprocess
import tempfile
from pathlib import Path
from time import perf_counter

import numpy as np
from textgen_runtime.bench.report import Section, times
from textgen_runtime.corpora.corpus import read_corpus
from textgen_runtime.text.normalization import Normalization
from textgen_runtime.text.vocabulary import CharacterTokenizer
from textgen_train.loop.trainer import Trainer
from textgen_train.models.device import has_bfloat16
from textgen_train.recipe import Budget, ClassicRecipe

from benchmarks.peers.run import HERE, KERAS, PEERS, environment

COLUMNS = ("version", "windows", "parameters", "time per epoch", "time / Keras", "loss (nats)")


def keras_epoch(text: str) -> dict[str, float | int | str]:
    """Run ``keras_epoch.py`` on a text and return its result."""
    python = environment(PEERS[KERAS].requirements)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "text.txt"
        path.write_text(text, encoding="utf-8", newline="")
        process = subprocess.run([python, HERE / "keras_epoch.py", path], check=True, stdout=subprocess.PIPE)
    result: dict[str, float | int | str] = json.loads(process.stdout)
    return result


def textgen_epoch(text: str) -> dict[str, float | int | str]:
    """Train one epoch with the recipe "classic" and return the same figures as ``keras_epoch``."""
    tokenizer = CharacterTokenizer(sorted(set(text)))
    trainer = Trainer(
        np.asarray(tokenizer.encode(text)), len(tokenizer), ClassicRecipe(), Budget(epochs=1), seed=0
    )
    start = perf_counter()
    updates = list(trainer.updates())
    seconds = perf_counter() - start
    windows = sum(update.targets for update in updates)
    return {
        "seconds": seconds,
        "nats": sum(update.nats * update.targets for update in updates) / windows,
        "parameters": trainer.model.parameter_count,
        "windows": windows,
        "versions": f"--recipe classic, {'bfloat16' if has_bfloat16() else 'float32'}",
    }


def main() -> None:
    """Train both and print the table."""
    text = Normalization(lowercase=True).apply(read_corpus("nietzsche").text)
    results = {"Keras": keras_epoch(text), "textgen": textgen_epoch(text)}
    rows = [
        (
            name,
            (
                str(result["versions"]),
                f"{result['windows']:,}",
                f"{result['parameters']:,}",
                f"{result['seconds']:.1f} s",
                times(float(result["seconds"]) / float(results["Keras"]["seconds"])),
                f"{result['nats']:.3f}",
            ),
        )
        for name, result in results.items()
    ]
    print(Section("nietzsche, first epoch of the textbook's experiment", COLUMNS, rows))


if __name__ == "__main__":
    main()
