"""How much of what a model generates stands in a corpus."""

from array import array
from collections.abc import Sequence

from textgen_runtime.generation.batch import Batch
from textgen_runtime.generation.model import Model
from textgen_runtime.sampling.parameters import Sampling
from textgen_runtime.sampling.tables import Spans

# Characters. Shorter spans are common phrases of a language.
COPIED_SPAN = 30

TEMPERATURES = (0.2, 0.5, 1.0, 1.2)

# The texts of one temperature, and the maximum length of each in tokens.
TEXTS = 32
LENGTH = 1000

UNICODE_SIZE = 0x110000


def copied_shares(
    model: Model,
    corpus: str,
    temperatures: Sequence[float] = TEMPERATURES,
    texts: int = TEXTS,
    length: int = LENGTH,
) -> dict[float, float]:
    """Return which share of the characters of generated texts is copied from a corpus, by temperature.

    A character is copied if it is in a span of ``COPIED_SPAN`` or more characters that the corpus has, too.
    The prompts are not counted. The result is the same in each call.

    Args:
        model: The model.
        corpus: The corpus, normalized as the model's texts are.
        temperatures: The temperatures.
        texts: The number of texts that the model generates at each temperature.
        length: The maximum length of each in tokens.

    Returns:
        The share, from 0 to 1, by temperature.

    Raises:
        PromptError: If the model needs a prompt.
    """
    spans = Spans(_code_points(corpus), COPIED_SPAN - 1, UNICODE_SIZE)
    shares = {}
    for temperature in temperatures:
        generated = [_code_points(text) for text in _generate(model, temperature, texts, length)]
        copied = sum(spans.count_copied(text) for text in generated)
        shares[temperature] = copied / max(1, sum(map(len, generated)))
    return shares


def _code_points(text: str) -> "array[int]":
    return array("q", map(ord, text))


def _generate(model: Model, temperature: float, texts: int, length: int) -> list[str]:
    batch = Batch(model)
    sampling = Sampling(temperature=temperature)
    for number in range(texts):
        batch.add(model.start(seed=0, substream=number, sampling=sampling), length, finish=True)
    return batch.complete()
