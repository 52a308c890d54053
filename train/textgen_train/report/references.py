"""Losses of simple models on the held-out text, for comparison: an n-gram model and general compressors."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from textgen_runtime.errors import TextgenError
from textgen_runtime.scoring.baselines import KneserNey, compressed_bits
from textgen_runtime.scoring.prediction import BITS_PER_NAT

from textgen_train.data.dataset import Dataset
from textgen_train.data.tokens import count_characters, count_characters_after, text_of

ORDER = 7

ReadTexts: TypeAlias = Callable[[int, int], tuple[str, str]]

# Bounds of the time and the memory: a second or two, and about 100 MB. With rare symbols, a corpus is also
# read again. Of a longer training text, the references use the end, and of a longer held-out text, the
# beginning.
MAX_TRAINING_TOKENS = 1_500_000
MAX_HELD_OUT_TOKENS = 250_000


@dataclass(frozen=True)
class Reference:
    """The held-out loss of a simple model.

    Attributes:
        name: The name of the model.
        nats: Its loss in nats per character.
    """

    name: str
    nats: float


def measure_references(dataset: Dataset, read_texts: ReadTexts | None = None) -> Iterator[Reference]:
    """Yield the references of a dataset, the fastest first.

    The n-gram model is trained on the training text. The loss of a compressor is the size of both texts
    together minus that of the training text, when compressed, per character of the held-out text.

    Args:
        dataset: Training and held-out text.
        read_texts: Reads the texts that the compressors get, if the unknown symbol replaces rare symbols of
            the dataset; see ``preparation.read_texts``. The arguments are the numbers of characters.

    Raises:
        TextgenError: If ``read_texts`` fails.
    """
    training = np.asarray(dataset.training[-MAX_TRAINING_TOKENS:])
    held_out = np.asarray(dataset.held_out[:MAX_HELD_OUT_TOKENS])
    characters = count_characters_after(dataset.before_held_out, held_out, dataset.tokenizer)
    ngrams = KneserNey(training, ORDER, len(dataset.tokenizer))
    yield Reference(f"{ORDER}-gram", float(ngrams.surprisals(held_out, training[-ORDER:]).sum()) / characters)
    if read_texts:
        before, after = read_texts(count_characters(training, dataset.tokenizer), characters)
    else:
        before, after = text_of(training, dataset.tokenizer), text_of(held_out, dataset.tokenizer)
    bits, both_bits = compressed_bits(before), compressed_bits(before + after)
    for name in bits:
        yield Reference(name, (both_bits[name] - bits[name]) / characters / BITS_PER_NAT)


def describe_bounds(dataset: Dataset) -> str:
    """Return a sentence on the parts of the texts that the references use; "" if they use all."""
    parts = []
    if len(dataset.training) > MAX_TRAINING_TOKENS:
        parts.append(f"the last {MAX_TRAINING_TOKENS:,} of {len(dataset.training):,} training tokens")
    if len(dataset.held_out) > MAX_HELD_OUT_TOKENS:
        parts.append(f"the first {MAX_HELD_OUT_TOKENS:,} of {len(dataset.held_out):,} held-out tokens")
    return f"To save time, they use only {' and '.join(parts)}." if parts else ""


class References:
    """Measures the references of a dataset in a thread, so that training does not wait.

    Args:
        dataset: Training and held-out text.
        read_texts: See ``measure_references``.

    Attributes:
        results: The references that are measured so far.
        bounds: The result of ``describe_bounds``.
    """

    def __init__(self, dataset: Dataset, read_texts: ReadTexts | None = None) -> None:
        self.results: tuple[Reference, ...] = ()
        self.bounds = describe_bounds(dataset)
        self._dataset, self._read_texts = dataset, read_texts
        # It does not delay the end of the program.
        self._thread = threading.Thread(target=self._measure, name="textgen-references", daemon=True)

    def start(self) -> None:
        """Start to measure."""
        self._thread.start()

    def wait(self, seconds: float) -> bool:
        """Wait at most this time, and return whether all references are measured."""
        if self._thread.ident is not None:
            self._thread.join(seconds)
        return self._thread.ident is not None and not self._thread.is_alive()

    def _measure(self) -> None:
        try:
            for reference in measure_references(self._dataset, self._read_texts):
                self.results = (*self.results, reference)
        except MemoryError:
            self.bounds = "There was not enough memory for all of them."
        except TextgenError as error:
            self.bounds = f"The compressors have no figures: {error}."
