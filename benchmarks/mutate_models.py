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
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import textgen_runtime as textgen

MAX_CHANGES = 4
HANG_SECONDS = 60
MAX_BYTES = 2**30
MAX_MESSAGE = 1000


def mutate(content: bytes, rng: random.Random) -> bytes:
    """Apply a few random changes: flip bits, set bytes, and cut, repeat or copy ranges of bytes."""
    damaged = bytearray(content)
    for _ in range(rng.randint(1, MAX_CHANGES)):
        start = rng.randrange(len(damaged))
        end = min(len(damaged), start + rng.choice((1, 2, 4, 16, 200)))
        part, place = damaged[start:end], rng.randrange(len(damaged))
        kind = rng.choice(("flip", "flip", "set", "extreme", "cut", "repeat", "copy"))
        if kind == "flip":
            damaged[start] ^= 1 << rng.randrange(8)
        elif kind == "set":
            damaged[start] = rng.randrange(256)
        elif kind == "extreme":
            damaged[start:end] = rng.choice((b"\xff", b"\x00", b"\x7f", b"\x80")) * len(part)
        elif kind == "cut" and len(part) < len(damaged):
            del damaged[start:end]
        elif kind == "repeat":
            damaged[start:start] = part
        else:
            damaged[place : place + len(part)] = part
    return bytes(damaged)


def model_reader(engine: str) -> Callable[[Path], None]:
    """Return a function that loads a model file and generates."""

    def read(path: Path) -> None:
        model = textgen.load(path, engine=engine)  # type: ignore[arg-type]
        model.generate(model.tokenizer.symbols[0], length=8, seed=1)

    return read


def resume(model: textgen.Model, path: Path) -> None:
    """Resume a saved generation, and generate."""
    textgen.resume(model, path).take(8)


def peak_memory() -> int:
    """Return the peak resident memory of this process, in bytes."""
    # Windows does not have this module.
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def attempt(read: Callable[[Path], object], path: Path) -> str:
    """Read a damaged file and return the outcome: "ran", or the name of the error."""
    before = peak_memory()
    try:
        read(path)
    except textgen.TextgenError as error:
        message = str(error)
        if "\n" in message or len(message) > MAX_MESSAGE:
            raise ValueError(message) from error
        return type(error).__name__
    if peak_memory() - before > MAX_BYTES:
        raise MemoryError(peak_memory())
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
    faulthandler.enable(sys.__stderr__ or sys.stderr)
    read: Callable[[Path], object] = model_reader(arguments.reader)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "damaged"
        if arguments.reader == "saved":
            model = textgen.load(arguments.model)
            # A damaged stop text may have no effect.
            warnings.simplefilter("ignore")
            # With the state of filters, and with text that is held back.
            generation = model.start(seed=1, temperature=2.0, stop="abcde", presence_penalty=0.1)
            generation.take(20)
            textgen.save(generation, path)
            intact, read = path.read_bytes(), partial(resume, model)
        else:
            intact = arguments.model.read_bytes()
        for number in range(arguments.count):
            damaged = mutate(intact, rng)
            path.write_bytes(damaged)
            faulthandler.dump_traceback_later(HANG_SECONDS, exit=True, file=sys.__stderr__ or sys.stderr)
            try:
                outcomes[attempt(read, path)] += 1
            except BaseException:
                print(f"damaged file {number}: {damaged.hex()}")
                raise
    faulthandler.cancel_dump_traceback_later()
    counts = ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items()))
    print(f"{arguments.count} damaged files, {arguments.reader}: {counts}")


if __name__ == "__main__":
    main()
