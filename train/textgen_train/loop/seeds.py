"""The seeds of random generators. Each is a function of the seed of the run and of its place in the run.

A generator is seeded anew for each update, epoch or evaluation. Therefore a resumed run draws the same
numbers as an unbroken one, without stored states of generators.
"""

import hashlib


def derive_seed(seed: int, purpose: str, *place: int) -> int:
    """Return a seed in [0, 2**56) for a purpose, such as "dropout", at a place, such as an update.

    All of its bits depend on all arguments, because torch uses only the last 32 bits on the processor.
    """
    text = " ".join(map(str, (seed, purpose, *place)))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=7).digest(), "big")
