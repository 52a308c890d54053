"""A warning when training diverges."""

import math
from collections.abc import Callable

from textgen_train.loop.watcher import Status, Watcher

# Training has diverged if, after this many updates, the loss exceeds that of a uniform guess by this margin.
MIN_UPDATES = 50
MARGIN_NATS = 0.1


class DivergenceWarning(Watcher):
    """Warns at an evaluation if the training loss is higher than that of a uniform guess.

    The training loss is the mean since the previous evaluation.

    Args:
        vocabulary_size: Number of symbols.
        warn: Called with the warning. It is called again only after training has recovered.
        characters_per_token: Mean number of characters of a token. The losses are per character.
    """

    def __init__(
        self, vocabulary_size: int, warn: Callable[[str], None], characters_per_token: float = 1.0
    ) -> None:
        self._uniform_nats, self._warn = math.log(vocabulary_size) / characters_per_token, warn
        self._margin_nats = MARGIN_NATS / characters_per_token
        self._diverged = False

    def on_evaluation_start(self, status: Status) -> None:
        # The margin allows for random text, on which the loss stays slightly above that of a uniform guess.
        diverged = status.updates >= MIN_UPDATES and status.nats > self._uniform_nats + self._margin_nats
        if diverged and not self._diverged:
            self._warn(
                f"training has diverged: the loss is {status.nats:.2f} nats, and a uniform guess has "
                f"{self._uniform_nats:.2f} nats; try lower learning rates"
            )
        self._diverged = diverged
