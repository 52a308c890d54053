"""Train the textbook's Keras model (chapter 8) for one epoch of a text, with windows of 60 characters."""

import argparse
import json
import os
import sys
from pathlib import Path
from time import perf_counter

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
import numpy as np

WINDOW, STEP, BATCH, UNITS = 60, 3, 128, 128


def one_hot(text: str) -> tuple[np.ndarray, np.ndarray]:
    """Encode all windows and their next characters, as in the textbook.

    Returns:
        Inputs of shape (windows, 60, vocabulary) and targets of shape (windows, vocabulary).
    """
    symbols = sorted(set(text))
    tokens = np.array([symbols.index(symbol) for symbol in text])
    starts = np.arange(0, len(text) - WINDOW, STEP)
    inputs = np.zeros((len(starts), WINDOW, len(symbols)), bool)
    targets = np.zeros((len(starts), len(symbols)), bool)
    for i in range(WINDOW):
        inputs[np.arange(len(starts)), i, tokens[starts + i]] = True
    targets[np.arange(len(starts)), tokens[starts + WINDOW]] = True
    return inputs, targets


def main() -> None:
    """Train for one epoch, and print its duration and its loss as JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("text", type=Path)
    text = parser.parse_args().text.read_text(encoding="utf-8")
    inputs, targets = one_hot(text)
    model = keras.Sequential(
        [
            keras.layers.Input(inputs.shape[1:]),
            keras.layers.LSTM(UNITS),
            keras.layers.Dense(targets.shape[1], activation="softmax"),
        ]
    )
    model.compile(loss="categorical_crossentropy", optimizer=keras.optimizers.RMSprop(learning_rate=0.01))
    start = perf_counter()
    history = model.fit(inputs, targets, batch_size=BATCH, epochs=1, verbose=0)
    seconds = perf_counter() - start
    json.dump(
        {
            "seconds": seconds,
            "nats": history.history["loss"][0],
            "parameters": model.count_params(),
            "windows": len(inputs),
            "versions": f"keras {keras.__version__}",
        },
        sys.stdout,
        allow_nan=False,
    )


if __name__ == "__main__":
    main()
