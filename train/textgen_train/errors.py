"""Errors that users of training can cause. All of them are subclasses of ``TextgenError``."""

import contextlib
from collections.abc import Iterator

from textgen_runtime.errors import CorpusError, TextgenError

# The runtime defines CorpusError, because it reads corpora to score them.
__all__ = ["CorpusError", "ExportError", "RecipeError", "TrainingError", "explaining_memory_errors"]


class RecipeError(TextgenError, ValueError):
    """A hyperparameter that is out of range, or that the recipe does not have."""


class TrainingError(TextgenError):
    """A training run that cannot start or continue."""


# torch raises a plain RuntimeError with one of these phrases if it cannot allocate memory.
OUT_OF_MEMORY_PHRASES = ("allocate memory", "size calculation overflowed")


@contextlib.contextmanager
def explaining_memory_errors() -> Iterator[None]:
    """Convert out-of-memory errors of Python and torch to a ``TrainingError``.

    Other exceptions propagate unchanged.

    Raises:
        TrainingError: If memory ran out.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and not any(
            phrase in str(error) for phrase in OUT_OF_MEMORY_PHRASES
        ):
            raise
        raise TrainingError(
            "there is not enough memory for this network and batch size: lower --units or --batch"
        ) from error


class ExportError(TextgenError):
    """A model that cannot be exported, or whose exported copy differs from it."""
