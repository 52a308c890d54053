"""A time limit that measurements keep on any machine, however slow or busy."""

import math
from time import perf_counter


class DeadlineError(Exception):
    """A measurement was stopped at its deadline. The caller continues without its result."""


class Deadline:
    """A point in time at which measurements end.

    Args:
        seconds: Time from now; infinite for no deadline.
    """

    def __init__(self, seconds: float = math.inf) -> None:
        self._end = perf_counter() + seconds

    @property
    def seconds_left(self) -> float:
        """Seconds until the deadline; 0 once it has passed."""
        return max(0.0, self._end - perf_counter())

    @property
    def passed(self) -> bool:
        return self.seconds_left == 0.0

    @property
    def is_finite(self) -> bool:
        return math.isfinite(self._end)

    def share(self, fraction: float) -> "Deadline":
        """Return an earlier deadline, for the first of several measurements that share the time.

        Args:
            fraction: Fraction of the remaining time, in (0, 1].
        """
        return Deadline(self.seconds_left * fraction)


NO_DEADLINE = Deadline()
