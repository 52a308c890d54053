"""Texts at several temperatures from one prompt, as the textbook's loop prints them."""

from textgen_runtime.generator import Model

TEMPERATURES = (0.2, 0.5, 1.0, 1.2)
LENGTH = 400


def sample_text(model: Model, prompt: str, seed: int) -> str:
    """A text at each temperature, under a heading each."""
    parts = [f"--- generating from: {prompt!r}"]
    for temperature in TEMPERATURES:
        text = model.generate(prompt, length=LENGTH, temperature=temperature, seed=seed)
        parts += [f"------ temperature: {temperature}", prompt + text]
    return "\n".join(parts)
