"""Damages model files at random and loads them with the native engine: each must run or be refused.

    python benchmarks/mutate_models.py tests/data/tiny.onnx --count 100000

A crash, a hang or any exception but the project's own is a defect; the damage that caused it is printed.
"""

import argparse
import faulthandler
import random
from pathlib import Path

import textgen_runtime as textgen
from textgen_runtime.loading import open_model

CHANGES = 4


def mutate(content: bytes, randomness: random.Random) -> bytes:
    """Flip bits, set bytes, cut, repeat or move pieces, a few times."""
    damaged = bytearray(content)
    for _ in range(randomness.randint(1, CHANGES)):
        place = randomness.randrange(len(damaged))
        end = min(len(damaged), place + randomness.choice((1, 2, 4, 16, 200)))
        kind = randomness.choice(("flip", "flip", "set", "extreme", "cut", "repeat", "move"))
        if kind == "flip":
            damaged[place] ^= 1 << randomness.randrange(8)
        elif kind == "set":
            damaged[place] = randomness.randrange(256)
        elif kind == "extreme":
            damaged[place:end] = randomness.choice((b"\xff", b"\x00", b"\x7f", b"\x80")) * (end - place)
        elif kind == "cut" and end - place < len(damaged):
            del damaged[place:end]
        elif kind == "repeat":
            damaged[place:place] = damaged[place:end]
        else:
            piece = damaged[place:end]
            target = randomness.randrange(len(damaged))
            damaged[target : target + len(piece)] = piece
    return bytes(damaged)


def attempt(content: bytes) -> str:
    """What became of a file: "ran", or why it was refused."""
    try:
        model = open_model(content, "native")
        model.generate(model.vocabulary.symbols[0], length=8, seed=1)
    except textgen.TextgenError as error:
        return type(error).__name__
    return "ran"


def main() -> None:
    """Try many, and print what became of them."""
    faulthandler.enable()
    parser = argparse.ArgumentParser(description="Load randomly damaged model files with the native engine.")
    parser.add_argument("model", type=Path)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    whole = arguments.model.read_bytes()
    randomness = random.Random(arguments.seed)
    outcomes: dict[str, int] = {}
    for number in range(arguments.count):
        damaged = mutate(whole, randomness)
        try:
            outcome = attempt(damaged)
        except BaseException:
            print(f"damaged file {number}: {damaged.hex()}")
            raise
        outcomes[outcome] = outcomes.get(outcome, 0) + 1
    counts = ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items()))
    print(f"{arguments.count} damaged files: {counts}")


if __name__ == "__main__":
    main()
