"""The loops that people write by hand over the same model file, to compare with."""

from collections.abc import Callable
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from textgen_runtime.model_file.graph_names import LOGITS, NEXT, TOKEN
from textgen_runtime.sampling.sampler import Sampler

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
        self._state = {node.name: node.shape for node in self.session.get_inputs() if node.name != TOKEN}
        self._outputs = [LOGITS, *(NEXT + name for name in self._state)]
        self._temperature = temperature

    def _zeros(self, batch: int) -> dict[str, NDArray[Any]]:
        return {
            name: np.zeros((layers, batch, units), np.float32)
            for name, (layers, _, units) in self._state.items()
        }

    def plain(self, characters: int) -> None:
        """The state carried by hand, and the textbook's numpy sampling."""
        random = np.random.default_rng(0)
        feed = self._zeros(1)
        token = 0
        for _ in range(characters):
            feed[TOKEN] = np.array([[token]], np.int64)
            logits, *after = self.session.run(self._outputs, feed)
            feed.update(zip(self._state, after, strict=True))
            scaled = logits[0, 0].astype(np.float64) / self._temperature
            weights = np.exp(scaled - scaled.max())
            token = int(random.multinomial(1, weights / weights.sum()).argmax())

    def classic(self, characters: int) -> None:
        """The textbook's loop: the last 60 characters read again for every new one."""
        sampler = Sampler(self._temperature)
        zeros = self._zeros(1)
        text = np.zeros((WINDOW, 1), np.int64)
        for _ in range(characters):
            logits = self.session.run(self._outputs, {TOKEN: text, **zeros})[0]
            text = np.concatenate([text[1:], [[sampler.draw(logits[-1, 0])]]])

    def batch(self, streams: int) -> Callable[[int], Any]:
        """Many streams in one step, drawn together."""
        sampler = Sampler(self._temperature)

        def run(rounds: int) -> None:
            feed = self._zeros(streams)
            feed[TOKEN] = np.zeros((1, streams), np.int64)
            for _ in range(rounds):
                logits, *after = self.session.run(self._outputs, feed)
                feed.update(zip(self._state, after, strict=True))
                feed[TOKEN] = sampler.draw_batch(logits[0])[np.newaxis]

        return run
