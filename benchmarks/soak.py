"""Generate one very long text in Python, in C and in JavaScript, and compare the texts and the memory.

    make core
    python -m benchmarks.soak [--bytes 1000000000] [--programs python c javascript training]

The model has 8-bit weights, because its text is the same in every engine. It is small, its weights are
random, and each of its characters is a byte. Each program runs in a process of its own and writes its text
to a pipe. It is read in ten parts. The program "training" learns as many characters with a small network, and
writes a byte for each. Printed are the speed during each part, the memory of the process at its
end, and the SHA-256 of the text. The exit code is 1 if two texts differ, or if the memory at the end is
larger than after the first part by more than 16 MiB.
"""

import argparse
import hashlib
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import psutil

from tests.helpers.int8_models import make_int8_model

PROGRAMS = ["python", "c", "javascript", "training"]
ROOT = Path(__file__).parents[1]
SYMBOLS = "\n abcdefgh"
PROMPT = "a"
PARTS = 10
BLOCK = 2**16
# Node frees memory only now and then.
MAX_GROWTH = 2**24

JAVASCRIPT = """
import { load } from %s;
const [path, prompt, length] = process.argv.slice(1);
const model = await load(path);
process.stdout.write(prompt);
const generation = model.start(prompt, { seed: 7, temperature: 1 });
for (let left = Number(length); left > 0; left -= 65536)
  if (!process.stdout.write(generation.take(Math.min(left, 65536))))
    await new Promise((resolve) => process.stdout.once("drain", resolve));
"""

TRAINING = """
import sys
from textgen_train import Corpus, Trainer, choose_preset
corpus = Corpus(b"the quick brown fox jumps over the lazy dog\\n" * 50_000, "soak")
sizes = {"units": 8, "layers": 1, "embedding": 4}
recipe = choose_preset("small", corpus.common_symbols, corpus.training_tokens, None) | sizes
trainer = Trainer(corpus, recipe, 0, 2)
characters = recipe["batch"] * recipe["sequence_length"]
length = int(sys.argv[1])
for learned in range(0, length, characters):
    trainer.update(learned / length)
    sys.stdout.buffer.write(bytes(characters))
"""


def command(program: str, model: str, size: int) -> list[str]:
    """Return the command that writes a text of this length."""
    # The process still runs after the last byte that is read, so that its memory is known.
    length = str(size + 2**20)
    if program == "training":
        return [sys.executable, "-c", TRAINING, length]
    if program == "javascript":
        source = JAVASCRIPT % repr((ROOT / "runtime" / "web" / "index.js").as_uri())
        return ["node", "--input-type=module", "-e", source, model, PROMPT, length]
    options = ["--temp", "1", "--seed", "7", "--length", length]
    if program == "c":
        return [str(ROOT / "build" / "core" / "textgen"), model, PROMPT, *options]
    return [sys.executable, "-m", "textgen_runtime", model, "--prompt", PROMPT, *options]


def soak(program: str, model: str, size: int) -> tuple[str, int]:
    """Run a program, print its parts, and return the SHA-256 of its text and the growth of its memory."""
    found, memory = hashlib.sha256(), list[int]()
    with subprocess.Popen(command(program, model, size), stdout=subprocess.PIPE) as process:
        for part in range(PARTS):
            end, start = size * (part + 1) // PARTS, perf_counter()
            left = length = end - size * part // PARTS
            while left and process.stdout and (block := process.stdout.read(min(left, BLOCK))):
                found.update(block)
                left -= len(block)
            if left:
                raise SystemExit(f"{program}: the text ends {left:,} bytes too early")
            memory.append(psutil.Process(process.pid).memory_info().rss)
            speed = length / (perf_counter() - start)
            print(f"{program:10} {end:15,} {speed:11,.0f} bytes/s {memory[-1] / 2**20:7.1f} MiB", flush=True)
        process.kill()
    print(f"{program:10} {found.hexdigest()}", flush=True)
    return found.hexdigest(), memory[-1] - memory[0]


def main(argv: Sequence[str] | None = None) -> int:
    """Run each program, and return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--bytes", metavar="N", type=int, default=10**9, help="default: 1000000000")
    parser.add_argument("--programs", nargs="+", choices=PROGRAMS, default=PROGRAMS, help="default: all")
    arguments = parser.parse_args(argv)
    with TemporaryDirectory() as folder:
        model = Path(folder) / "model.onnx"
        model.write_bytes(make_int8_model(SYMBOLS).SerializeToString())
        results = {name: soak(name, str(model), arguments.bytes) for name in arguments.programs}
    growth = max(growth for _, growth in results.values())
    are_equal = len({text for name, (text, _) in results.items() if name != "training"}) <= 1
    print(f"the texts {'are equal' if are_equal else 'differ'}; largest growth {growth / 2**20:.2f} MiB")
    return int(not are_equal or growth > MAX_GROWTH)


if __name__ == "__main__":
    sys.exit(main())
