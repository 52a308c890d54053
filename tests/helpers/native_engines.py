"""Engines with small random models, and texts for them."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from textgen_runtime import Sampling
from textgen_runtime._core import Stream, kernel_names
from textgen_runtime.engine import Engine, Lane, NativeEngine
from textgen_runtime.onnxruntime import OnnxEngine
from textgen_runtime.results import State

from tests.helpers.make_tiny_model import make_model

KERNELS = kernel_names()

# Token n of the models is the character FIRST + n.
FIRST = 0x4E00


def symbols(count: int) -> list[str]:
    return [chr(FIRST + i) for i in range(count)]


def tokens_of(text: bytes) -> list[int]:
    """Return the tokens of a text of these models."""
    return [ord(character) - FIRST for character in text.decode()]


def text_of_tokens(tokens: Sequence[int]) -> bytes:
    return "".join([chr(FIRST + token) for token in tokens]).encode()


def content_of(vocabulary: int, units: int, layers: int = 1, scale: float = 0.3) -> bytes:
    model = make_model(symbols(vocabulary), units=units, layers=layers, scale=scale)
    return bytes(model.SerializeToString())


def engines(vocabulary: int, units: int, layers: int, kernels: str) -> tuple[NativeEngine, OnnxEngine]:
    # Larger weights make a network chaotic, so that rounding differences between engines grow.
    scale = 1.2 / math.sqrt(units)
    content = content_of(vocabulary, units, layers, scale)
    return NativeEngine(content, kernels=kernels), OnnxEngine(content)


def text_of(
    engine: Engine, seed: int = 1, substream: int = 0, *, logits: Any = None, **sampling: Any
) -> Stream:
    """Return a text at the initial state, with equal logits or those given, and at temperature 1."""
    text = engine.new_stream(seed, substream)
    text.configure(Sampling(**{"temperature": 1.0} | sampling))
    text.logits = np.zeros(engine.vocabulary_size, np.float32) if logits is None else logits
    return text


def texts_of(engine: Engine, count: int, seed: int = 1) -> list[Stream]:
    """Return texts of several substreams."""
    return [text_of(engine, seed, i) for i in range(count)]


def generate(engine: Engine, texts: list[Stream], length: int) -> list[list[int]]:
    """Generate for all texts in one call. Return their tokens."""
    results = engine.generate([Lane(text, length) for text in texts], length)
    return [tokens_of(result.text) for result in results]


def content_of_text(text: Stream) -> bytes:
    """Return everything that a text contains, to compare it."""
    return text.save(b"")


def assert_states_equal(one: State, other: State) -> None:
    assert list(one) == list(other)
    for name in one:
        np.testing.assert_array_equal(one[name], other[name])
