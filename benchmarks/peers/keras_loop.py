"""The textbook's loop: Keras, and ``predict`` on a window of 60 one-hot characters for every new one."""

import os

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
import numpy as np
from common import TEMPERATURE, WINDOW, arguments, report

task = arguments()
model = keras.Sequential(
    [
        keras.Input((WINDOW, task.vocabulary)),
        keras.layers.LSTM(task.units),
        keras.layers.Dense(task.vocabulary, activation="softmax"),
    ]
)


def generate(characters: int) -> None:
    text = [0] * WINDOW
    for _ in range(characters):
        sampled = np.zeros((1, WINDOW, task.vocabulary))
        for place, token in enumerate(text):
            sampled[0, place, token] = 1.0
        distribution = model.predict(sampled, verbose=0)[0].astype("float64")
        weights = np.exp(np.log(distribution) / TEMPERATURE)
        token = int(np.argmax(np.random.multinomial(1, weights / weights.sum(), 1)))
        text = [*text[1:], token]


report(generate, 40, f"keras {keras.__version__}")
