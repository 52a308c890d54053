"""What ``textgen-run --stats`` tells."""

from collections.abc import Iterator
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from textgen_runtime._sampler import entropy
from textgen_runtime.engine import Engine, State
from textgen_runtime.generator import Generation

MICROSECONDS = 1e6
MILLISECONDS = 1e3


class MeasuredEngine:
    """An engine that adds up the time of its steps."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.layers, self.units = engine.layers, engine.units
        self.vocabulary_size = engine.vocabulary_size
        self.seconds = 0.0

    def step(self, tokens: NDArray[np.int64], state: State) -> tuple[NDArray[np.float32], State]:
        start = perf_counter()
        answer = self._engine.step(tokens, state)
        self.seconds += perf_counter() - start
        return answer


class Statistics:
    """Adds up the times and entropies of all the texts of one command.

    Args:
        start: When the command started, in ``perf_counter`` seconds.
    """

    def __init__(self, start: float) -> None:
        self._start = start
        self.load_seconds = 0.0
        self.first_character_seconds: float | None = None
        self.characters = 0
        self.seconds = 0.0
        self.model_seconds = 0.0
        self.entropy_bits = 0.0

    def watch(self, generation: Generation, engine: MeasuredEngine, length: int) -> Iterator[str]:
        """Yield what the generation's ``stream`` yields, measuring it."""
        pieces = generation.stream(length)
        before_the_text = engine.seconds
        while True:
            bits = entropy(generation.logits, generation.sampler.temperature)
            start = perf_counter()
            piece = next(pieces, None)
            now = perf_counter()
            if piece is None:
                break
            self.seconds += now - start
            self.characters += len(piece)
            self.entropy_bits += bits
            if self.first_character_seconds is None:
                self.first_character_seconds = now - self._start
            yield piece
        self.model_seconds += engine.seconds - before_the_text

    def lines(self, seed: int) -> list[str]:
        """The report, a line a figure."""
        each = MICROSECONDS / max(self.characters, 1)
        model = self.model_seconds * each
        sampler = (self.seconds - self.model_seconds) * each
        return [
            f"seed             {seed}",
            f"load             {self.load_seconds * MILLISECONDS:.1f} ms (onnxruntime's import included)",
            f"first character  {(self.first_character_seconds or 0.0) * MILLISECONDS:.1f} ms after the start",
            f"speed            {self.characters / max(self.seconds, 1e-9):,.0f} characters/s",
            f"a character      {self.seconds * each:.2f} us: model {model:.2f}, sampler {sampler:.2f}",
            f"mean entropy     {self.entropy_bits / max(self.characters, 1):.3f} bits a character",
        ]
