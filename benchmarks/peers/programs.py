"""Programs that generate with other libraries. Each runs in an environment of its own; see ``__main__.py``.

python programs.py PROGRAM MODEL LAYERS UNITS EMBEDDING VOCABULARY

All compute a network of these sizes, or that of the model file, carry the state, and draw each character.
``keras`` is the exception: it is the textbook's loop, which reads the last 60 characters again for each new
one. Its product of one-hot characters with a matrix is an embedding.
"""

import json
import os
import statistics
import sys
from importlib.metadata import version
from time import perf_counter

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

WINDOW = 60
TEMPERATURE = 0.5
ROUNDS = 5

program, path, *numbers = sys.argv[1:]
layers, units, embedding, vocabulary = map(int, numbers)


def textbook_draw(scaled, rng):
    """Draw as the textbook does, with numpy."""
    import numpy as np

    exp_logits = np.exp(scaled - scaled.max())
    return int(rng.multinomial(1, exp_logits / exp_logits.sum()).argmax())


def keras():
    import keras
    import numpy as np

    model = keras.Sequential(
        [
            keras.Input((WINDOW, vocabulary)),
            keras.layers.Dense(embedding, use_bias=False),
            *(keras.layers.LSTM(units, return_sequences=True) for _ in range(layers - 1)),
            keras.layers.LSTM(units),
            keras.layers.Dense(vocabulary, activation="softmax"),
        ]
    )
    rng = np.random.default_rng(0)

    def generate(characters):
        tokens = [0] * WINDOW
        for _ in range(characters):
            sampled = np.zeros((1, WINDOW, vocabulary))
            sampled[0, range(WINDOW), tokens] = 1.0
            distribution = model.predict(sampled, verbose=0)[0].astype("float64")
            tokens = [*tokens[1:], textbook_draw(np.log(distribution) / TEMPERATURE, rng)]

    return generate, 40


def torch():
    import torch
    from torch import nn

    torch.set_num_threads(1)
    table, lstm = nn.Embedding(vocabulary, embedding), nn.LSTM(embedding, units, layers)
    output = nn.Linear(units, vocabulary)

    @torch.inference_mode()
    def generate(characters):
        token, state = torch.zeros((1, 1), dtype=torch.int64), None
        for _ in range(characters):
            hidden, state = lstm(table(token), state)
            distribution = torch.softmax(output(hidden[0, 0]) / TEMPERATURE, 0)
            token = torch.multinomial(distribution, 1).view(1, 1)

    return generate, 2000


def onnxruntime():
    import numpy as np
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(0)

    def generate(characters):
        hidden = cell = np.zeros((layers, 1, units), np.float32)
        token = 0
        for _ in range(characters):
            inputs = {"token": np.array([[token]]), "hidden": hidden, "cell": cell}
            logits, hidden, cell = session.run(["logits", "next_hidden", "next_cell"], inputs)
            token = textbook_draw(logits[0, 0].astype(np.float64) / TEMPERATURE, rng)

    return generate, 5000


def textgen():
    import textgen_runtime

    return textgen_runtime.load(path).start(temperature=TEMPERATURE, seed=0).take, 100_000


PACKAGES = {"keras": "keras", "torch": "torch", "onnxruntime": "onnxruntime", "textgen": "textgen-onnx"}

generate, characters = {"keras": keras, "torch": torch, "onnxruntime": onnxruntime, "textgen": textgen}[
    program
]()
generate(max(1, characters // 10))
seconds = []
for _ in range(ROUNDS):
    start = perf_counter()
    generate(characters)
    seconds.append((perf_counter() - start) / characters)
name = PACKAGES[program]
print(json.dumps({"seconds": statistics.median(seconds), "version": f"{name} {version(name)}"}))
