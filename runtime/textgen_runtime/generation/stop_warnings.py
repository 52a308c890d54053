"""Warnings about stop texts that a model cannot produce, or that a model of words may miss.

The automaton of stop texts reads tokens. It finds a stop text only where exactly its tokens were drawn: not
within a word, and not where its last space is a part of the next word.
"""

from collections.abc import Set as AbstractSet
from functools import lru_cache

from textgen_runtime.errors import quote
from textgen_runtime.model_file.metadata import Metadata
from textgen_runtime.sampling.parameters import Sampling
from textgen_runtime.text.tokenizer import Tokenizer

from .controls import impossible_stop_message, impossible_stops


def checked_stops(sampling: Sampling, metadata: Metadata) -> tuple[Sampling, list[str]]:
    """Return the sampling without the stop texts that the vocabulary cannot produce, and warnings.

    There is a warning about each of these, and about each that a model of words may miss.
    """
    impossible = impossible_stops(sampling, metadata)
    if impossible:
        sampling = sampling.replace(stop=[text for text in sampling.stop if text not in impossible])
    missed = missed_stops(sampling, metadata)
    return sampling, [*map(impossible_stop_message, impossible), *map(missed_stop_message, missed)]


def missed_stops(sampling: Sampling, metadata: Metadata) -> list[str]:
    """Return the stop texts that have a character of which words consist."""
    if not sampling.stop:
        return []
    in_words = _characters_in_words(metadata.tokenizer)
    return [text for text in sampling.stop if not in_words.isdisjoint(metadata.normalize(text))]


def missed_stop_message(text: str) -> str:
    """Return the warning about a stop text that may be missed."""
    return (
        f"the stop text {quote(text)} may be missed, because the model draws whole words: use line ends or "
        "ASCII punctuation marks alone"
    )


@lru_cache(maxsize=16)
def _characters_in_words(tokenizer: Tokenizer) -> AbstractSet[str]:
    return frozenset("".join([symbol for symbol in tokenizer.symbols if len(symbol) > 1]))
