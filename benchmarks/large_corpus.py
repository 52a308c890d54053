"""Measure the preparation of a large corpus: speed, memory and disk space.

python benchmarks/large_corpus.py --megabytes 1000

The corpus is Python's language reference, repeated, in a temporary folder. Without --mixed, its few
characters that are not ASCII are removed. A process reads it in blocks,
computes its SHA-256 and counts its bytes, which is the least that a preparation must do. Another process
prepares it as textgen-train does. With --train, two more processes train, on a small corpus and on the large
one. Peak memory is that of the process, and is also shown without what it needs for a small corpus.
"""

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter

import numpy as np
from textgen_runtime.corpora.corpus import read_corpus
from textgen_runtime.text.normalization import Normalization
from textgen_train.data.dataset_from_corpus import make_dataset

BLOCK = 2**20
SMALL_MEGABYTES = 1
MEGABYTE = 10**6


def make_corpus(path: Path, megabytes: int, encoding: str) -> None:
    """Write a corpus of this size."""
    text = read_corpus("python-docs").text.encode(encoding, "ignore")
    remaining = megabytes * MEGABYTE
    with path.open("wb") as file:
        while remaining > 0:
            remaining -= file.write(text[:remaining])


def read_and_count(path: Path) -> dict[str, float]:
    """Read a file, compute its SHA-256, and count its bytes."""
    digest, counts = hashlib.sha256(), np.zeros(256, np.int64)
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
            counts += np.bincount(np.frombuffer(block, np.uint8), minlength=256)
    return {"characters": float(counts.sum())}


def prepare(path: Path) -> dict[str, float]:
    """Prepare a corpus for training. Its tokens are stored in the folder of the corpus."""
    dataset = make_dataset(read_corpus(str(path)), Normalization(), folder=path.parent)
    stored = dataset.training.nbytes + dataset.held_out.nbytes
    return {"characters": len(dataset.training) + len(dataset.held_out), "stored": stored}


STAGES = {"count": read_and_count, "prepare": prepare}


def run_stage(name: str, path: Path) -> None:
    """Run one stage in this process, and print its results as JSON."""
    started = perf_counter()
    results = STAGES[name](path)
    results["seconds"] = perf_counter() - started
    print(json.dumps(results))


def measure(*command: str) -> tuple[str, float]:
    """Run a program; return its standard output, and its peak memory in megabytes."""
    # A process of its own, because the peak of all children of a process is known, but not that of each.
    program = (
        "import resource, subprocess, sys\n"
        "done = subprocess.run(sys.argv[1:], stdout=subprocess.PIPE, check=True)\n"
        "sys.stdout.buffer.write(done.stdout)\n"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, sys.executable, *command],
        stdout=subprocess.PIPE,
        check=True,
        encoding="utf-8",
    )
    *output, peak = done.stdout.splitlines()
    # macOS counts bytes, Linux counts units of 1024 bytes.
    return "\n".join(output), int(peak) * (1 if sys.platform == "darwin" else 1024) / MEGABYTE


def main() -> None:
    """Print the table."""
    command = argparse.ArgumentParser(description=__doc__)
    command.add_argument("--megabytes", type=int, default=1000, help="size of the corpus (default: 1000)")
    command.add_argument("--mixed", action="store_true", help="keep the characters that are not ASCII")
    command.add_argument("--folder", help="where the corpus is made (default: the folder of temporary files)")
    command.add_argument("--train", metavar="MINUTES", help="also train for this time, on both corpora")
    command.add_argument("--stage", nargs=2, help=argparse.SUPPRESS)
    arguments = command.parse_args()
    if arguments.stage:
        run_stage(arguments.stage[0], Path(arguments.stage[1]))
        return
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        small, large = Path(name, "small.txt"), Path(name, "large.txt")
        encoding = "utf-8" if arguments.mixed else "ascii"
        make_corpus(small, SMALL_MEGABYTES, encoding)
        make_corpus(large, arguments.megabytes, encoding)
        for stage in STAGES:
            _, before = measure(__file__, "--stage", stage, str(small))
            output, peak = measure(__file__, "--stage", stage, str(large))
            results = json.loads(output)
            stored = f", {results['stored'] / MEGABYTE:,.0f} MB on disk" if "stored" in results else ""
            speed = arguments.megabytes / results["seconds"]
            print(
                f"{stage:8}{results['seconds']:7.1f} s{speed:7.0f} MB/s, {describe(peak, before)}{stored}",
                flush=True,
            )
        if arguments.train:
            options = ("--minutes", arguments.train, "--no-samples", "--overwrite", "-o", f"{name}/model")
            _, before = measure("-m", "textgen_train", str(small), *options)
            _, peak = measure("-m", "textgen_train", str(large), *options)
            print(f"train   {describe(peak, before)}")


def describe(peak: float, before: float) -> str:
    """Describe the peak memory of a process with the large corpus, and of one with the small corpus."""
    return f"peak memory {peak:.0f} MB, {peak - before:+.0f} MB against {SMALL_MEGABYTES} MB of text"


if __name__ == "__main__":
    main()
