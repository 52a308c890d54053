"""Errors that users of training can cause. All of them are subclasses of ``TextgenError``."""

import contextlib
from collections.abc import Iterator
from typing import TypeVar

from textgen_runtime.errors import CorpusError, Name, TextgenError

# The runtime defines CorpusError, because it reads corpora to score them.
__all__ = [
    "CorpusError",
    "ExportError",
    "LossError",
    "LostProcessError",
    "RecipeError",
    "TrainingError",
    "explaining_memory_errors",
    "extended",
]

AnyError = TypeVar("AnyError", bound=TextgenError)


def extended(error: AnyError, *parts: str) -> AnyError:
    """Return an error of the same class and about the same parameter, with a longer message."""
    longer = type(error)(*error.args, *parts)
    longer.parameter = error.parameter
    return longer


class RecipeError(TextgenError, ValueError):
    """A hyperparameter, or another option of a run, is out of range or does not fit the others."""


class TrainingError(TextgenError):
    """A training run cannot start or continue."""


class LossError(TrainingError):
    """The loss is NaN or infinite. A resumed run would fail in the same way."""


class LostProcessError(TrainingError):
    """Another process of the run has ended, or cannot be reached."""


# torch raises a plain RuntimeError with one of these phrases if it cannot allocate memory.
OUT_OF_MEMORY_PHRASES = ("allocate memory", "out of memory", "size calculation overflowed")


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
            "not enough memory for this network and batch size: lower ", Name("units"), " or ", Name("batch")
        ) from error


class ExportError(TextgenError):
    """A model cannot be exported, or its exported copy differs from it."""
