"""The length of the chunks of a batch."""

# Tokens per lane of the first chunk. They take any model only milliseconds. The later numbers are measured.
FIRST_STEPS = 8

# The cost of a token depends on the number of lanes, which can change by any factor between chunks.
MAX_GROWTH = 2

# The share of the latest chunk in the estimate.
WEIGHT = 0.5


class Pace:
    """Chooses the number of tokens per chunk so that a chunk takes a given time."""

    def __init__(self) -> None:
        self._steps = FIRST_STEPS
        # Seconds per token and lane; None before the first chunk.
        self._cost: float | None = None

    def steps(self, lanes: int, seconds: float) -> int:
        """Return the maximum number of tokens per lane of the next chunk.

        Args:
            lanes: The number of lanes, 1 or more.
            seconds: How long the chunk should take.
        """
        if self._cost is not None:
            wanted = int(seconds / (self._cost * lanes))
            self._steps = max(1, min(wanted, MAX_GROWTH * self._steps))
        return self._steps

    def record(self, tokens: int, seconds: float) -> None:
        """Record how long a chunk took.

        Args:
            tokens: Number of tokens of all lanes together.
            seconds: The time from the start of the chunk to its texts.
        """
        if not tokens:
            return
        cost = seconds / tokens
        self._cost = cost if self._cost is None else WEIGHT * cost + (1 - WEIGHT) * self._cost
