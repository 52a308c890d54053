"""A warning if training has diverged."""

import math
from collections.abc import Callable

from textgen_train.loop.watcher import Status, Watcher

# After so many updates, a loss above that of guessing by so many nats means that training has diverged.
UPDATES_TO_LEARN_SOMETHING = 50
DIVERGED_BY = 0.1


class DivergenceWarning(Watcher):
    """Warns when an evaluation begins and the loss since the last one is above that of guessing.

    Args:
        vocabulary_size: Among how many symbols a guess is.
        warn: Called with the warning: once, and again only if training has recovered in between.
    """

    def __init__(self, vocabulary_size: int, warn: Callable[[str], None]) -> None:
        self._guessing, self._warn = math.log(vocabulary_size), warn
        self._diverged = False

    def on_evaluation_start(self, status: Status) -> None:
        # On a text without any pattern a healthy loss stands just above that of guessing.
        diverged = status.updates >= UPDATES_TO_LEARN_SOMETHING and status.nats > self._guessing + DIVERGED_BY
        if diverged and not self._diverged:
            self._warn(
                f"training has diverged: try lower learning rates (its loss is {status.nats:.2f} nats, and "
                f"guessing costs {self._guessing:.2f})"
            )
        self._diverged = diverged
