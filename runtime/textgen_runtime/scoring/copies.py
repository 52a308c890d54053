"""How much of what a model generates stands in a corpus."""

from array import array
from collections.abc import Mapping, Sequence

from textgen_runtime._core import Spans
from textgen_runtime.errors import Name, ScoringError
from textgen_runtime.model import Batch, Model
from textgen_runtime.sampling import Sampling

from .temperatures import TEMPERATURES

# Characters. Shorter spans are common phrases of a language.
COPIED_SPAN = 30

# The texts of one temperature, and the maximum length of each in tokens.
TEXTS = 32
LENGTH = 1000

UNICODE_SIZE = 0x110000


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
