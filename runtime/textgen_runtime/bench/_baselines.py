"""Baseline loops: the loops over onnxruntime that users write themselves, for comparison with the engines."""

from collections.abc import Callable
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from textgen_runtime.model_file.graph_names import LOGITS, NEXT, TOKEN
from textgen_runtime.sampling.sampler import Sampler

WINDOW = 60


class BaselineLoops:
    """Baseline loops over one onnxruntime session.

    Args:
        model: Content of the model file.
        threads: Number of onnxruntime's intra-op threads.
        temperature: Sampling temperature.
    """

    def __init__(self, model: bytes, threads: int, temperature: float) -> None:
        options = onnxruntime.SessionOptions()
        # All other options keep their defaults, as in most programs.
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

    def stateful(self, tokens: int) -> None:
        """Carry the state between steps, and sample with the textbook's numpy code."""
        rng = np.random.default_rng(0)
        inputs = self._zeros(1)
        token = 0
        for _ in range(tokens):
            inputs[TOKEN] = np.array([[token]], np.int64)
            logits, *state = self.session.run(self._outputs, inputs)
            inputs.update(zip(self._state, state, strict=True))
            scaled = logits[0, 0].astype(np.float64) / self._temperature
            exp_logits = np.exp(scaled - scaled.max())
            token = int(rng.multinomial(1, exp_logits / exp_logits.sum()).argmax())

    def sliding_window(self, length: int) -> None:
        """Run the network over the last 60 tokens for each new token, as in the textbook."""
        sampler = Sampler(self._temperature)
        zeros = self._zeros(1)
        tokens = np.zeros((WINDOW, 1), np.int64)
        for _ in range(length):
            logits = self.session.run(self._outputs, {TOKEN: tokens, **zeros})[0]
            tokens = np.concatenate([tokens[1:], [[sampler.draw(logits[-1, 0])]]])

    def batched(self, streams: int) -> Callable[[int], Any]:
        """Return a function that generates the given number of tokens of each stream, as one batch."""
        sampler = Sampler(self._temperature)

        def run(steps: int) -> None:
            inputs = self._zeros(streams)
            inputs[TOKEN] = np.zeros((1, streams), np.int64)
            for _ in range(steps):
                logits, *state = self.session.run(self._outputs, inputs)
                inputs.update(zip(self._state, state, strict=True))
                inputs[TOKEN] = sampler.draw_batch(logits[0])[np.newaxis]

        return run
