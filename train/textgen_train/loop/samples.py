"""Texts at several temperatures from one prompt, as the textbook's loop prints them."""

import random
from typing import Any

from textgen_runtime.generation.batch import Batch
from textgen_runtime.generation.model import Model

from textgen_train.data.dataset import Dataset

from .rng_state import python_rng, python_rng_state

TEMPERATURES = (0.2, 0.5, 1.0, 1.2)
LENGTH = 400


def sample_text(model: Model, prompt: str, seed: int) -> str:
    """A text at each temperature, under a heading each."""
    batch = Batch(model)
    for temperature in TEMPERATURES:
        batch.add(model.start(prompt, temperature=temperature, seed=seed), LENGTH)
    parts = [f"--- generating from: {prompt!r}"]
    for temperature, text in zip(TEMPERATURES, batch.complete(), strict=True):
        parts += [f"------ temperature: {temperature}", prompt + text]
    return "\n".join(parts)


class Samples:
    """Draws samples, each time from another snippet of the training text.

    Args:
        dataset: Where snippets come from.
        rng: What snippets and seeds are drawn from.
    """

    def __init__(self, dataset: Dataset, rng: random.Random) -> None:
        self._dataset, self._rng = dataset, rng

    def draw(self, model: Model) -> str:
        """Texts at several temperatures from the next snippet."""
        prompt = self._dataset.draw_excerpt(self._rng)
        return sample_text(model, prompt, self._rng.getrandbits(32))

    def rng_state(self) -> list[Any]:
        """The state of the generator, made of numbers, lists and None."""
        return python_rng_state(self._rng)

    def restore_rng(self, state: list[Any]) -> None:
        """Draw from a generator in this state.

        Raises:
            TrainingError: If it is not a state of a generator.
        """
        self._rng = python_rng(state)
