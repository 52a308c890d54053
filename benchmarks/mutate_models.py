"""Damage model files and saved generations at random and read them: each must run or be rejected.

    python -m benchmarks.mutate_models tests/data/tiny.onnx [--count 100000] [--reader saved]

A crash, a hang, a gigabyte of additional memory, and any exception except the project's own are defects. The
damaged file is printed; for a crash or a hang, the traceback is printed instead.
"""

import argparse
import faulthandler
import random
import sys
import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import textgen_runtime as textgen

HANG_SECONDS = 60
MAX_BYTES = 2**30


def mutate(content: bytes, rng: random.Random) -> bytes:
    """Apply a few random changes: flip bits, set, cut, repeat or copy ranges of bytes."""
    damaged = bytearray(content)
    for _ in range(rng.randint(1, 4)):
        start = rng.randrange(len(damaged))
        end = min(len(damaged), start + rng.choice((1, 2, 4, 16, 200)))
        part, place = damaged[start:end], rng.randrange(len(damaged))
        kind = rng.choice(("flip", "flip", "set", "cut", "repeat", "copy"))
        if kind == "flip":
            damaged[start] ^= 1 << rng.randrange(8)
        elif kind == "set":
            damaged[start:end] = bytes([rng.choice((0, 255, 127, 128, rng.randrange(256)))]) * len(part)
        elif kind == "cut" and len(part) < len(damaged):
            del damaged[start:end]
        elif kind == "repeat":
            damaged[start:start] = part
        else:
            damaged[place : place + len(part)] = part
    return bytes(damaged)


def read(reader: str, path: Path, model: textgen.Model) -> None:
    """Read a file with an engine, or as a text of this model, and generate."""
    if reader == "saved":
        textgen.resume(model, path).take(8)
    else:
        model = textgen.load(path, engine=reader)  # type: ignore[arg-type]
        model.generate(model.tokenizer.symbols[0], length=8, seed=1)


def attempt(reader: str, path: Path, model: textgen.Model) -> str:
    """Read a damaged file and return the outcome: "ran", or the name of the error."""
    # Windows does not have this module.
    import resource

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        read(reader, path, model)
    except textgen.TextgenError as error:
        if "\n" in str(error):
            raise ValueError(str(error)) from error
        return type(error).__name__
    if (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 > MAX_BYTES:
        raise MemoryError
    return "ran"


def main(argv: Sequence[str] | None = None) -> None:
    """Read damaged files, and print the number of each outcome."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path, help="model file to damage")
    parser.add_argument("--count", type=int, default=100_000, help="damaged files (default: 100000)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the damage (default: 0)")
    parser.add_argument("--reader", choices=("native", "onnxruntime", "saved"), default="native")
    arguments = parser.parse_args(argv)
    rng, outcomes = random.Random(arguments.seed), Counter[str]()
    stderr = sys.__stderr__ or sys.stderr
    faulthandler.enable(stderr)
    # A damaged stop text may have no effect.
    warnings.simplefilter("ignore")
    model, intact = textgen.load(arguments.model), arguments.model.read_bytes()
    with TemporaryDirectory() as folder:
        path = Path(folder) / "damaged"
        if arguments.reader == "saved":
            # With the state of filters, and with text that is held back.
            generation = model.start(seed=1, temperature=2.0, stop="abcde", presence_penalty=0.1)
            generation.take(20)
            textgen.save(generation, path)
            intact = path.read_bytes()
        for number in range(arguments.count):
            damaged = mutate(intact, rng)
            path.write_bytes(damaged)
            faulthandler.dump_traceback_later(HANG_SECONDS, exit=True, file=stderr)
            try:
                outcomes[attempt(arguments.reader, path, model)] += 1
            except BaseException:
                print(f"damaged file {number}: {damaged.hex()}")
                raise
    faulthandler.cancel_dump_traceback_later()
    counts = ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items()))
    print(f"{arguments.count} damaged files, {arguments.reader}: {counts}")


if __name__ == "__main__":
    main()
