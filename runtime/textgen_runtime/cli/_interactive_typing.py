"""Typed text before it is fed: its characters outside the vocabulary, and what separates it from the text."""

from collections import Counter

from textgen_runtime.generation.model import Model
from textgen_runtime.text.symbols import format_symbols
from textgen_runtime.text.tokenizer import Tokenizer, UnknownPolicy

from ._interactive_commands import LineError


def count_unknown(model: Model, text: str) -> Counter[str]:
    """Count the typed characters outside the vocabulary."""
    return model.tokenizer.count_unknown(model.metadata.normalize(text))


def check_typed(model: Model, text: str, policy: UnknownPolicy) -> None:
    """Check that a typed text can be fed to the model.

    Args:
        model: The model.
        text: The text.
        policy: What to do with characters outside the vocabulary.

    Raises:
        LineError: If it cannot.
    """
    unknown = count_unknown(model, text)
    if policy == "skip":
        if unknown.total() == len(model.metadata.normalize(text)):
            raise LineError("none of the line's characters is in the model's vocabulary: type another line")
    elif unknown and model.tokenizer.unknown is None:
        lower = "/lowercase on, or " if model.tokenizer.can_encode("".join(unknown).lower()) else ""
        raise LineError(
            f"not in the model's vocabulary: {format_symbols(sorted(unknown))}; change the line, or use "
            f"{lower}/unknown skip"
        )


def separator(tokenizer: Tokenizer, tail: str) -> str:
    r"""Return what separates a typed line from the text before it.

    Args:
        tokenizer: The tokenizer of the model.
        tail: The end of the text.

    Returns:
        A line end, or a space if the vocabulary has no line end. Empty if it has neither, or if the text ends
        with it.
    """
    for symbol in ("\n", " "):
        if tail.endswith(symbol):
            return ""
        if tokenizer.can_encode(symbol):
            return symbol
    return ""
