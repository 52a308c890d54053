"""The textbook's experiment, an epoch of it: this project's classic recipe beside Keras itself.

python -m benchmarks.quality.classic

Both read the same windows of the whole text, one after the other, Keras in float32 and in an environment of
its own, which is built the first time.
"""

import json
import subprocess
import tempfile
from pathlib import Path
from time import perf_counter

import numpy as np
from textgen_runtime.bench.report import Section, times
from textgen_runtime.corpora.corpus import read_corpus
from textgen_runtime.text.character_tokenizer import CharacterTokenizer
from textgen_runtime.text.normalization import Normalization
from textgen_train.loop.classic_trainer import ClassicTrainer
from textgen_train.models.precision import has_bfloat16
from textgen_train.recipe import Budget, ClassicRecipe

from benchmarks.peers.run import HERE, PEERS, environment

COLUMNS = ("version", "windows", "parameters", "an epoch", "it / Keras", "loss, nats")


def keras_epoch(text: str) -> dict[str, float | int | str]:
    """What ``keras_epoch.py`` tells of a text."""
    python = environment(PEERS["Keras, the textbook's loop"][1])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "text.txt"
        path.write_text(text, encoding="utf-8", newline="")
        done = subprocess.run([python, HERE / "keras_epoch.py", path], check=True, stdout=subprocess.PIPE)
    found: dict[str, float | int | str] = json.loads(done.stdout)
    return found


def own_epoch(text: str) -> dict[str, float | int | str]:
    """The same of the classic recipe."""
    tokenizer = CharacterTokenizer(sorted(set(text)))
    trainer = ClassicTrainer(
        np.asarray(tokenizer.encode(text)), len(tokenizer), ClassicRecipe(), Budget(epochs=1), seed=0
    )
    start = perf_counter()
    updates = list(trainer.updates())
    seconds = perf_counter() - start
    windows = sum(update.characters for update in updates)
    return {
        "seconds": seconds,
        "nats": sum(update.nats * update.characters for update in updates) / windows,
        "parameters": trainer.model.parameter_count,
        "windows": windows,
        "versions": f"--recipe classic, {'bfloat16' if has_bfloat16() else 'float32'}",
    }


def main() -> None:
    """Train both, print the table."""
    text = Normalization(lowercase=True).apply(read_corpus("nietzsche").text)
    found = {"Keras": keras_epoch(text), "textgen": own_epoch(text)}
    rows = [
        (
            name,
            (
                str(each["versions"]),
                f"{each['windows']:,}",
                f"{each['parameters']:,}",
                f"{each['seconds']:.1f} s",
                times(float(each["seconds"]) / float(found["Keras"]["seconds"])),
                f"{each['nats']:.3f}",
            ),
        )
        for name, each in found.items()
    ]
    print(Section("nietzsche, the textbook's first epoch", COLUMNS, rows))


if __name__ == "__main__":
    main()
