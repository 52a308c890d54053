"""The idea on one page: read a model file, then step, reweight and draw. It needs only numpy.

python examples/one_page.py my-novel-model/model.onnx "It was " 0.5
"""

import io
import json
import sys
from typing import Any

import numpy as np


def fields(message: bytes) -> dict[int, list[Any]]:
    """Return the values in a protobuf message, such as an ONNX file, by the number of their field."""
    stream, found = io.BytesIO(message), dict[int, list[Any]]()

    def integer() -> int:  # seven bits in each byte, the lowest first; only the last byte is below 128
        return byte if (byte := stream.read(1)[0]) < 128 else byte - 128 + 128 * integer()

    while stream.tell() < len(message):
        key, value = integer(), integer()
        found.setdefault(key >> 3, []).append(stream.read(value) if key & 7 == 2 else value)
    return found


def step(arrays: dict[str, Any], hidden: Any, cell: Any, token: int) -> Any:
    """Advance the state, which has a row for each layer, by a token. Return the logits of the next one."""
    x = arrays["embedding"][token]
    for i in range(len(cell)):
        bias = arrays[f"bias_{i}"].reshape(2, -1).sum(axis=0)
        sums = arrays[f"input_{i}"][0] @ x + arrays[f"recurrent_{i}"][0] @ hidden[i] + bias
        enter, leave, keep = np.split(1 / (1 + np.exp(-sums[: 3 * len(cell[i])])), 3)
        cell[i] = keep * cell[i] + enter * np.tanh(sums[3 * len(cell[i]) :])
        x = hidden[i] = leave * np.tanh(cell[i])
    return x @ arrays["output_weights"] + arrays["output_bias"]


def draw(logits: Any, temperature: float, random: np.random.Generator) -> int:
    scaled = (logits - logits.max()).astype(np.float64) / max(temperature, 1e-300)  # 0 leaves the largest
    return int(random.choice(len(scaled), p=np.exp(scaled) / np.exp(scaled).sum()))


if __name__ == "__main__":
    path, prompt, temperature = sys.argv[1:] if len(sys.argv) == 4 else sys.exit(__doc__)
    model = fields(np.fromfile(path, np.uint8).tobytes())  # onnx.proto has the numbers of the fields
    graph = fields(model[7][0])
    metadata = {entry[1][0].decode(): json.loads(entry[2][0]) for entry in map(fields, model[14])}
    if metadata["textgen.format"] != 1 or [fields(node)[4] for node in graph[1]].count([b"Add"]) > 1:
        sys.exit("one_page.py: the model must be an LSTM of format 1, without residual connections")
    tensors = [tensor for tensor in map(fields, graph[5]) if tensor[2] == [1]]  # 1 is float32
    arrays = {t[8][0].decode(): np.frombuffer(t[9][0], np.float32).reshape(t[1]) for t in tensors}
    vocabulary, layers = metadata["textgen.vocabulary"], sum("recurrent" in name for name in arrays)
    hidden, cell = np.zeros((2, layers, arrays["recurrent_0"].shape[2]), np.float32)
    tokens, random = [vocabulary.index(character) for character in prompt], np.random.default_rng()
    for i in range(len(tokens) + 399):
        logits = step(arrays, hidden, cell, tokens[i])
        if i == len(tokens) - 1:  # the prompt is over
            tokens.append(draw(logits, float(temperature), random))
    print("".join(vocabulary[token] for token in tokens))
