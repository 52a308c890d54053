"""The loops that people write by hand over the same model file, to compare with."""

from collections.abc import Callable
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from textgen_runtime._sampler import Sampler
from textgen_runtime.contract import CELL, HIDDEN, OUTPUTS, TOKEN

WINDOW = 60


class HandWritten:
    """Loops over one onnxruntime session.

    Args:
        model: The content of the model file.
        threads: Threads of a step.
        temperature: Of the draws.
    """

    def __init__(self, model: bytes, threads: int, temperature: float) -> None:
        options = onnxruntime.SessionOptions()
        # All else as onnxruntime has it: few people change more.
        options.intra_op_num_threads = threads
        self.session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self._layers, _, self._units = self.session.get_inputs()[1].shape
        self._temperature = temperature

    def _zeros(self, batch: int) -> NDArray[np.float32]:
        return np.zeros((self._layers, batch, self._units), np.float32)

    def plain(self, characters: int) -> None:
        """The state carried by hand, and the textbook's numpy sampling."""
        random = np.random.default_rng(0)
        hidden = cell = self._zeros(1)
        token = 0
        for _ in range(characters):
            feed = {TOKEN: np.array([[token]], np.int64), HIDDEN: hidden, CELL: cell}
            logits, hidden, cell = self.session.run(OUTPUTS, feed)
            scaled = logits[0, 0].astype(np.float64) / self._temperature
            weights = np.exp(scaled - scaled.max())
            token = int(random.multinomial(1, weights / weights.sum()).argmax())

    def classic(self, characters: int) -> None:
        """The textbook's loop: the last 60 characters read again for every new one."""
        sampler = Sampler(self._temperature)
        zeros = self._zeros(1)
        text = np.zeros((WINDOW, 1), np.int64)
        for _ in range(characters):
            logits, _, _ = self.session.run(OUTPUTS, {TOKEN: text, HIDDEN: zeros, CELL: zeros})
            text = np.concatenate([text[1:], [[sampler.draw(logits[-1, 0])]]])

    def batch(self, streams: int) -> Callable[[int], Any]:
        """Many streams in one step, drawn together."""
        sampler = Sampler(self._temperature)

        def run(rounds: int) -> None:
            hidden = cell = self._zeros(streams)
            tokens = np.zeros((1, streams), np.int64)
            for _ in range(rounds):
                logits, hidden, cell = self.session.run(OUTPUTS, {TOKEN: tokens, HIDDEN: hidden, CELL: cell})
                tokens = sampler.draw_rows(logits[0])[np.newaxis]

        return run
