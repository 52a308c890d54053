"""Errors that users of training can cause. All of them are subclasses of ``TextgenError``."""

from typing import TypeVar

from textgen_runtime.errors import CorpusError, TextgenError

# The runtime defines CorpusError, because it reads corpora to score them.
__all__ = [
    "CorpusError",
    "ExportError",
    "LossError",
    "LostProcessError",
    "RecipeError",
    "TrainingError",
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


class ExportError(TextgenError):
    """A model cannot be exported, or its exported copy differs from it."""
