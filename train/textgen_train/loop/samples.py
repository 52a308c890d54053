"""Text samples at several temperatures, in the textbook's format: from one prompt, or of new records."""

import ast
import math
import random

from textgen_runtime.model import Batch, Model
from textgen_runtime.temperatures import TEMPERATURES
from textgen_runtime.text import SEPARATORS

from textgen_train.data.dataset import Dataset

from .seeds import derive_seed

# Approximate number of characters of each sample.
SAMPLE_LENGTH = 400

# The first line of samples, without the prompt.
FROM_PROMPT, NEW_RECORDS = "--- generating from: ", "--- new records"

# Number of new records at each temperature, and the maximum length of each.
RECORDS = 5
MAX_RECORD_LENGTH = 2000


def sample_records(model: Model, rng: random.Random) -> str:
    """Return some new records per temperature, below a heading."""
    batch = Batch(model)
    for temperature in TEMPERATURES:
        for _ in range(RECORDS):
            generation = model.start(temperature=temperature, seed=rng.getrandbits(32))
            batch.add(generation, MAX_RECORD_LENGTH)
    texts = batch.complete()
    separator = SEPARATORS[model.metadata.records or "lines"]
    lines = [NEW_RECORDS]
    for i, temperature in enumerate(TEMPERATURES):
        records = texts[i * RECORDS : (i + 1) * RECORDS]
        lines += [_heading(temperature), separator.join(records)]
    return "\n".join(lines)


def sample_text(model: Model, prompt: str, seed: int, length: int = SAMPLE_LENGTH) -> str:
    """Return one sample per temperature of ``length`` tokens, each below a heading."""
    batch = Batch(model)
    for temperature in TEMPERATURES:
        batch.add(model.start(prompt, temperature=temperature, seed=seed), length)
    lines = [f"{FROM_PROMPT}{prompt!r}"]
    for temperature, text in zip(TEMPERATURES, batch.complete(), strict=True):
        lines += [_heading(temperature), prompt + text]
    return "\n".join(lines)


def split_samples(samples: str) -> tuple[str, dict[float, str]]:
    """Return the parts of a result of ``sample_text`` or ``sample_records``.

    Returns:
        The prompt, which is empty for records, and the generated text or records of each temperature. In
        another format, there are no texts, and the prompt is empty.
    """
    rest, texts = samples, dict[float, str]()
    for temperature in reversed(TEMPERATURES):
        rest, found, texts[temperature] = rest.rpartition(f"\n{_heading(temperature)}\n")
        if not found:
            return "", {}
    if rest == NEW_RECORDS:
        return "", {temperature: texts[temperature] for temperature in TEMPERATURES}
    try:
        # The first line states the prompt as a Python literal.
        prompt = str(ast.literal_eval(rest.removeprefix(FROM_PROMPT)))
    except (ValueError, SyntaxError):
        return "", {}
    return prompt, {temperature: texts[temperature][len(prompt) :] for temperature in TEMPERATURES}


def _heading(temperature: float) -> str:
    return f"------ temperature: {temperature}"


class Samples:
    """Draws samples from a model: continuations of new excerpts of the training text, or new records.

    Args:
        dataset: Provides the excerpts.
        seed: Seed of the excerpts and of the texts.
    """

    def __init__(self, dataset: Dataset, seed: int) -> None:
        self._dataset, self._seed = dataset, seed

    def draw(self, model: Model, evaluation: int) -> str:
        """Return one sample per temperature, from a new excerpt, or some new records per temperature.

        The excerpt and the random numbers are those of the evaluation of this number. The bytes of a file
        that is not a text have no excerpts, so the result is "".
        """
        rng = random.Random(derive_seed(self._seed, "samples", evaluation))
        if self._dataset.records is not None:
            return sample_records(model, rng)
        prompt = self._dataset.draw_excerpt(rng)
        length = math.ceil(SAMPLE_LENGTH / self._dataset.characters_per_token)
        return sample_text(model, prompt, rng.getrandbits(32), length) if prompt else ""
