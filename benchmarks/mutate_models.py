"""Damage model files and saved generations at random and read them: each must run or be rejected.

    python benchmarks/mutate_models.py tests/data/tiny.onnx --count 100000 --reader auto

A crash, a hang, a gigabyte of additional memory, and any exception except the project's own are defects. The
damaged file is printed; for a crash or a hang, the traceback is printed instead.
"""

import argparse
import faulthandler
import random
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar

import textgen_runtime as textgen
from textgen_runtime.bench.context import checked_fields

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
        kind = rng.choice(("flip", "flip", "set", "extreme", "cut", "repeat", "copy"))
        if kind == "flip":
            damaged[start] ^= 1 << rng.randrange(8)
        elif kind == "set":
            damaged[start] = rng.randrange(256)
        elif kind == "extreme":
            damaged[start:end] = rng.choice((b"\xff", b"\x00", b"\x7f", b"\x80")) * (end - start)
        elif kind == "cut" and end - start < len(damaged):
            del damaged[start:end]
        elif kind == "repeat":
            damaged[start:start] = damaged[start:end]
        else:
            chunk = damaged[start:end]
            target = rng.randrange(len(damaged))
            damaged[target : target + len(chunk)] = chunk
    return bytes(damaged)


class Reader:
    """A way to read damaged files.

    Args:
        kind: A key of ``KINDS``.
        model_path: The model file to damage.
        folder: Folder for damaged files.
    """

    KINDS: ClassVar = {
        "auto": "load a model file with the default engine",
        "checked": "like auto, and also load with onnxruntime only the checked fields, as textgen-bench does",
        "onnxruntime": "load a model file with onnxruntime",
        "saved": "resume a saved generation",
    }

    def __init__(self, kind: str, model_path: Path, folder: Path) -> None:
        self.kind, self.path = kind, folder / "damaged"
        self.intact = model_path.read_bytes()
        if kind == "saved":
            self.model = textgen.load(model_path)
            # A damaged stop text may have no effect.
            warnings.simplefilter("ignore")
            # With the state of filters, and with text that is held back.
            generation = self.model.start(seed=1, temperature=2.0, stop="abcde", presence_penalty=0.1)
            generation.take(20)
            textgen.save(generation, self.path)
            self.intact = self.path.read_bytes()

    def damage(self, rng: random.Random) -> bytes:
        """Return the content of a damaged file."""
        return mutate(self.intact, rng)

    def attempt(self, content: bytes) -> str:
        """Read a damaged file and return the outcome: "ran", or the name of the error."""
        self.path.write_bytes(content)
        try:
            if self.kind == "saved":
                textgen.resume(self.model, self.path).take(8)
            else:
                model = textgen.load(
                    self.path, engine="onnxruntime" if self.kind == "onnxruntime" else "auto"
                )
                if self.kind == "checked":
                    model = textgen.load(checked_fields(content), engine="onnxruntime")
                model.generate(model.tokenizer.symbols[0], length=8, seed=1)
        except textgen.TextgenError as error:
            message = str(error)
            if "\n" in message or len(message) > MAX_MESSAGE:
                raise ValueError(message) from error
            return type(error).__name__
        return "ran"


def peak_resident() -> int:
    """Return the peak resident memory of this process, in bytes."""
    # Windows does not have this module, and tests there use this file, too.
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def check_memory(before: int) -> None:
    """Check the growth of the peak resident memory.

    Args:
        before: Previous result of ``peak_resident``.

    Raises:
        MemoryError: If the peak grew by more than ``MAX_BYTES``.
    """
    if peak_resident() - before > MAX_BYTES:
        raise MemoryError(peak_resident())


def main() -> None:
    """Read damaged files, and print the number of each outcome."""
    parser = argparse.ArgumentParser(description="Read randomly damaged model files and saved generations.")
    help_text = "; ".join(f"{kind}: {text}" for kind, text in Reader.KINDS.items())
    parser.add_argument("model", type=Path, help="model file to damage")
    parser.add_argument(
        "--count", type=int, default=100_000, help="number of damaged files (default: 100000)"
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of the damage (default: 0)")
    parser.add_argument("--reader", choices=Reader.KINDS, default="auto", help=help_text)
    arguments = parser.parse_args()
    rng = random.Random(arguments.seed)
    outcomes: dict[str, int] = {}
    with TemporaryDirectory() as folder:
        reader = Reader(arguments.reader, arguments.model, Path(folder))
        before = peak_resident()
        for number in range(arguments.count):
            damaged = reader.damage(rng)
            faulthandler.dump_traceback_later(HANG_SECONDS, exit=True)
            try:
                outcome = reader.attempt(damaged)
                check_memory(before)
            except BaseException:
                print(f"damaged file {number}: {damaged.hex()}")
                raise
            outcomes[outcome] = outcomes.get(outcome, 0) + 1
    faulthandler.cancel_dump_traceback_later()
    counts = ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items()))
    print(f"{arguments.count} damaged files, {arguments.reader}: {counts}")


if __name__ == "__main__":
    faulthandler.enable()
    main()
