"""The textbook's loop in Keras: ``predict`` on the last 60 one-hot characters for each new character.

The network is that of the model. The product of one-hot characters with a matrix is an embedding, which the
textbook's network does not have.
"""

import os

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
import numpy as np
from common import TEMPERATURE, WINDOW, arguments, report

task = arguments()
model = keras.Sequential(
    [
        keras.Input((WINDOW, task.vocabulary)),
        keras.layers.Dense(task.embedding, use_bias=False),
        *(keras.layers.LSTM(task.units, return_sequences=True) for _ in range(task.layers - 1)),
        keras.layers.LSTM(task.units),
        keras.layers.Dense(task.vocabulary, activation="softmax"),
    ]
)


def generate(characters: int) -> None:
    tokens = [0] * WINDOW
    for _ in range(characters):
        sampled = np.zeros((1, WINDOW, task.vocabulary))
        for i, token in enumerate(tokens):
            sampled[0, i, token] = 1.0
        distribution = model.predict(sampled, verbose=0)[0].astype("float64")
        weights = np.exp(np.log(distribution) / TEMPERATURE)
        token = int(np.argmax(np.random.multinomial(1, weights / weights.sum(), 1)))
        tokens = [*tokens[1:], token]


report(generate, 40, f"keras {keras.__version__}")
