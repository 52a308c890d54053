"""A moment by which measurements end, however slow or busy the machine is."""

import math
from time import perf_counter


class DeadlineError(Exception):
    """A measurement that was stopped because its time was over; its caller goes on without it."""


class Deadline:
    """A moment from now on.

    Args:
        seconds: How far away it is; infinite for none.
    """

    def __init__(self, seconds: float = math.inf) -> None:
        self._end = perf_counter() + seconds

    @property
    def left(self) -> float:
        """Seconds until then; 0 when it has passed."""
        return max(0.0, self._end - perf_counter())

    @property
    def passed(self) -> bool:
        return self.left == 0.0

    @property
    def is_finite(self) -> bool:
        return math.isfinite(self._end)

    def share(self, part: float) -> "Deadline":
        """An earlier one, for the first of several measurements that share the time.

        Args:
            part: Its share of the time that is left, in (0, 1].
        """
        return Deadline(self.left * part)


FOREVER = Deadline()
