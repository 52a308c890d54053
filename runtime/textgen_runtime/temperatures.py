"""What a model does at several temperatures: its next character, and how much of its texts is copied."""

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Unpack

import numpy as np
from numpy.typing import NDArray

from ._core import Spans
from .errors import Name, ScoringError
from .model import Batch, Generation, Model
from .options import SamplingOptions
from .sampler import entropy, softmax
from .sampling import TEMPERATURES, Sampling, choose_sampling
from .tokenizer import UnknownPolicy, token_text, unit_of

# Characters. Shorter spans are common phrases of a language.
COPIED_SPAN = 30

# The texts of one temperature, and the maximum length of each in tokens.
TEXTS = 8
LENGTH = 1000

UNICODE_SIZE = 0x110000


@dataclass(frozen=True)
class TemperatureComparison:
    """The distribution of the next character at several temperatures.

    The symbols are ordered by probability, the most likely one first. A temperature does not change this
    order.

    Attributes:
        prompt: The text before the character, in the model's normalized form; empty at the start of a
            record.
        unit: What a token is: "character", "byte" or "token".
        symbols: The texts of all tokens that the model can draw: characters, unless the tokens are others.
            The end of a record is ``<end>``.
        temperatures: The temperatures.
        probabilities: The distribution that a draw at each temperature uses. Shape [temperatures, symbols],
            float64. Each row has the sum 1.
        original: The distribution of the model: temperature 1, and no other sampling parameter. Shape
            [symbols], float64.
    """

    prompt: str
    unit: str
    symbols: Sequence[str]
    temperatures: Sequence[float]
    probabilities: NDArray[np.float64]
    original: NDArray[np.float64]

    @property
    def entropies(self) -> NDArray[np.float64]:
        """The entropy at each temperature, in bits. Shape [temperatures], float64."""
        return np.array([entropy(row) for row in self.probabilities])

    @property
    def choices(self) -> NDArray[np.float64]:
        """The effective number of choices at each temperature, ``2 ** entropies``.

        So many equally likely symbols would have the same entropy. Shape [temperatures], float64.
        """
        return np.exp2(self.entropies)


def compare_temperatures(  # noqa: PLR0913 (keywords, as for Model.start)
    model: Model,
    prompt: str | None = None,
    temperatures: Sequence[float] = TEMPERATURES,
    *,
    seed: int = 0,
    unknown: UnknownPolicy = "error",
    sampling: Sampling | None = None,
    **options: Unpack[SamplingOptions],
) -> TemperatureComparison:
    """Compute the distribution of the character after a prompt at several temperatures. Nothing is drawn.

    Args:
        model: The model.
        prompt: The text before the character. None chooses one of the model's ``prompts`` by ``seed``, or
            stands for the start of a record.
        temperatures: One or more finite numbers, 0 or more.
        seed: As for ``Model.start``.
        unknown: What to do with characters outside the vocabulary, as for ``Model.start``.
        sampling: The other sampling parameters. Its temperature has no effect. None uses ``options``.
        options: The other sampling parameters as keywords.

    Returns:
        The distributions, and the symbols in the order of their probability. Equally likely symbols are in
        the order of their tokens. Special tokens that are never drawn are omitted. The end of a record is
        ``<end>``.

    Raises:
        PromptError: As for ``Model.start``.
        SamplingError: If a temperature or another parameter is out of range, or a logit is NaN or +inf.
        ValueError: If there is no temperature, or ``unknown`` is invalid.
        TypeError: As for ``Model.start``, or if ``temperature`` is among the options.
    """
    if "temperature" in options:
        raise TypeError("pass temperatures, a sequence, instead of temperature")
    if not len(temperatures):
        raise ValueError("temperatures must have at least one temperature")
    chosen = choose_sampling(sampling, options)
    settings = [chosen.replace(temperature=temperature) for temperature in temperatures]
    generation = model.start(prompt, seed=seed, unknown=unknown, sampling=chosen)
    probabilities = np.stack([_probabilities(generation, setting) for setting in settings])
    original = softmax(generation.logits)
    # At low temperatures, the unlikely symbols have the probability 0 in float64, and their order is lost.
    hottest = probabilities[int(np.argmax(temperatures))]
    tokenizer = model.tokenizer
    hidden = tokenizer.special.never_drawn
    tokens = [int(token) for token in np.lexsort((-original, -hottest)) if token not in hidden]
    return TemperatureComparison(
        generation.prompt,
        unit_of(tokenizer),
        [token_text(tokenizer, token) for token in tokens],
        [setting.temperature for setting in settings],
        probabilities[:, tokens],
        original[tokens],
    )


def _probabilities(generation: Generation, sampling: Sampling) -> NDArray[np.float64]:
    """Return the distribution of the next draw with these parameters, by token."""
    generation.sampling = sampling
    return generation.probabilities()[1]


def draw_texts(
    model: Model, temperatures: Sequence[float] = TEMPERATURES, texts: int = TEXTS, length: int = LENGTH
) -> dict[float, list[str]]:
    """Return generated texts by temperature. The result is the same in each call.

    Args:
        model: The model. It continues its own prompts.
        temperatures: The temperatures.
        texts: The number of texts at each temperature.
        length: The maximum length of each in tokens.

    Returns:
        The texts, without the prompts.

    Raises:
        ScoringError: If the model has no prompts.
    """
    if not model.prompts and model.metadata.records is None:
        raise ScoringError("the model stores no prompts to start texts from: omit ", Name("copied"))
    return {temperature: _generate(model, temperature, texts, length) for temperature in temperatures}


def copied_shares(texts: Mapping[float, Sequence[str]], corpus: str) -> dict[float, float]:
    """Return which share of the characters of generated texts is copied from a corpus, by temperature.

    A character is copied if it is in a span of ``COPIED_SPAN`` or more characters that the corpus has, too.

    Args:
        texts: The texts by temperature, from ``draw_texts``.
        corpus: The corpus, normalized as the model's texts are.

    Returns:
        The share, from 0 to 1, by temperature.
    """
    spans = Spans(_code_points(corpus), COPIED_SPAN - 1, UNICODE_SIZE)
    shares = {}
    for temperature, drawn in texts.items():
        copied = sum(spans.count_copied(_code_points(text)) for text in drawn)
        shares[temperature] = copied / max(1, sum(map(len, drawn)))
    return shares


def _code_points(text: str) -> "array[int]":
    return array("q", map(ord, text))


def _generate(model: Model, temperature: float, texts: int, length: int) -> list[str]:
    batch = Batch(model)
    sampling = Sampling(temperature=temperature)
    for number in range(texts):
        batch.add(model.start(seed=0, substream=number, sampling=sampling), length, finish=True)
    return batch.complete()
