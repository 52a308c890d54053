"""Damages model files and saved generations at random and reads them: each must run or be refused.

    python benchmarks/mutate_models.py tests/data/tiny.onnx --count 100000 --reader auto

A crash, a hang, a gigabyte of memory or any exception but the project's own is a defect. The damage that
caused it is printed, or for a crash and a hang where it happened.
"""

import argparse
import faulthandler
import io
import random
import resource
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar
from zipfile import ZipFile

import textgen_runtime as textgen
from textgen_runtime.bench.checked_fields import checked_fields

CHANGES = 4

# Most damage to a whole archive is found by its checksums.
RAW_SHARE = 0.3

HANG_SECONDS = 60
MOST_BYTES = 2**30
LONGEST_MESSAGE = 1000


def mutate(content: bytes, rng: random.Random) -> bytes:
    """Flip bits, set bytes, cut, repeat or move pieces, a few times."""
    damaged = bytearray(content)
    for _ in range(rng.randint(1, CHANGES)):
        place = rng.randrange(len(damaged))
        end = min(len(damaged), place + rng.choice((1, 2, 4, 16, 200)))
        kind = rng.choice(("flip", "flip", "set", "extreme", "cut", "repeat", "move"))
        if kind == "flip":
            damaged[place] ^= 1 << rng.randrange(8)
        elif kind == "set":
            damaged[place] = rng.randrange(256)
        elif kind == "extreme":
            damaged[place:end] = rng.choice((b"\xff", b"\x00", b"\x7f", b"\x80")) * (end - place)
        elif kind == "cut" and end - place < len(damaged):
            del damaged[place:end]
        elif kind == "repeat":
            damaged[place:place] = damaged[place:end]
        else:
            piece = damaged[place:end]
            target = rng.randrange(len(damaged))
            damaged[target : target + len(piece)] = piece
    return bytes(damaged)


def mutate_saved(content: bytes, rng: random.Random) -> bytes:
    """Damage a saved generation, or one of its members under a checksum that is right again."""
    if rng.random() < RAW_SHARE:
        return mutate(content, rng)
    with ZipFile(io.BytesIO(content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = rng.choice(sorted(members))
    members[name] = mutate(members[name], rng)
    damaged = io.BytesIO()
    with ZipFile(damaged, "w") as archive:
        for each, data in members.items():
            archive.writestr(each, data)
    return damaged.getvalue()


class Reader:
    """Reads damaged files in one of several ways.

    Args:
        kind: One of ``KINDS``.
        whole: The model file to damage.
        folder: Where damaged files may be written.
    """

    KINDS: ClassVar = {
        "auto": "a model file, as load does unless told otherwise",
        "checked": "the same, but what was checked of it is handed on to onnxruntime, as textgen-bench does",
        "onnxruntime": "a model file, by onnxruntime, whatever its graph",
        "saved": "a saved generation",
    }

    def __init__(self, kind: str, whole: Path, folder: Path) -> None:
        self.kind, self.path = kind, folder / "damaged"
        self.whole = whole.read_bytes()
        if kind == "saved":
            self.model = textgen.load(whole)
            textgen.save(self.model.start(seed=1), self.path)
            self.whole = self.path.read_bytes()

    def damage(self, rng: random.Random) -> bytes:
        """Another damaged file."""
        return (mutate_saved if self.kind == "saved" else mutate)(self.whole, rng)

    def attempt(self, content: bytes) -> str:
        """What became of a file: "ran", or why it was refused."""
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
            if "\n" in message or len(message) > LONGEST_MESSAGE:
                raise ValueError(message) from error
            return type(error).__name__
        return "ran"


def resident() -> int:
    """The most bytes that this process has had in memory."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def check_memory(before: int) -> None:
    """See that the process has taken no gigabyte since.

    Raises:
        MemoryError: If it has.
    """
    if resident() - before > MOST_BYTES:
        raise MemoryError(resident())


def main() -> None:
    """Try many, and print what became of them."""
    parser = argparse.ArgumentParser(description="Read randomly damaged model files and saved generations.")
    parser.add_argument("model", type=Path)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--reader", choices=Reader.KINDS, default="auto", help=str(Reader.KINDS))
    arguments = parser.parse_args()
    rng = random.Random(arguments.seed)
    outcomes: dict[str, int] = {}
    with TemporaryDirectory() as folder:
        reader = Reader(arguments.reader, arguments.model, Path(folder))
        before = resident()
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
