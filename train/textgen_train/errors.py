"""What a user can cause to go wrong while training; all of it is a ``TextgenError``."""

import contextlib
from collections.abc import Iterator

from textgen_runtime.errors import CorpusError, TextgenError

# CorpusError is the runtime's, which reads texts to score as well.
__all__ = ["CorpusError", "ExportError", "RecipeError", "TrainingError", "explaining_memory_errors"]


class RecipeError(TextgenError, ValueError):
    """A recipe with a number that is outside its range, or not one of its own."""


class TrainingError(TextgenError):
    """A training run that cannot go on."""


# What torch says for want of memory, in an exception that says nothing by its type.
OUT_OF_MEMORY = ("allocate memory", "size calculation overflowed")


@contextlib.contextmanager
def explaining_memory_errors() -> Iterator[None]:
    """Turn what torch and Python raise for want of memory into one error of the user's.

    Raises:
        TrainingError: If there was not enough; whatever else is raised inside stays what it is.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and not any(reason in str(error) for reason in OUT_OF_MEMORY):
            raise
        raise TrainingError(
            "there is not enough memory for a network of this size, or for so many streams at once: lower "
            "--units or --batch"
        ) from error


class ExportError(TextgenError):
    """An exported model that does not do what the trained one does."""
