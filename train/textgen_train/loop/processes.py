"""The processes that torchrun has started: this one, and its connection to the others."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from textgen_runtime.errors import TextgenError

from .ranks import SINGLE, Ranks


@contextmanager
def joined_ranks() -> Iterator[Ranks]:
    """Return a context with the processes of this run. At its end, the first process ends the others.

    torchrun starts several processes, and gives them their numbers in environment variables.

    Raises:
        TrainingError: If a variable is invalid, or if the other processes cannot be reached.
    """
    if "RANK" not in os.environ or os.environ.get("WORLD_SIZE", "1") == "1":
        yield SINGLE
        return
    from .distributed import DistributedRanks

    ranks = DistributedRanks.from_environment(os.environ)
    try:
        yield ranks
    except TextgenError as error:
        ranks.fail(error)
        raise
    finally:
        ranks.close()
