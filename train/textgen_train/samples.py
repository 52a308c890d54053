"""Texts at several temperatures from one prompt, as the textbook's loop prints them."""

from textgen_runtime.batch import stream_together
from textgen_runtime.generator import Model

TEMPERATURES = (0.2, 0.5, 1.0, 1.2)
LENGTH = 400


def sample_text(model: Model, prompt: str, seed: int) -> str:
    """A text at each temperature, under a heading each."""
    generations = [model.start(prompt, temperature=temperature, seed=seed) for temperature in TEMPERATURES]
    chunks = stream_together(generations, LENGTH, model.engine.piece(len(generations)))
    parts = [f"--- generating from: {prompt!r}"]
    for temperature, text in zip(TEMPERATURES, zip(*chunks, strict=True), strict=True):
        parts += [f"------ temperature: {temperature}", prompt + "".join(text)]
    return "\n".join(parts)
