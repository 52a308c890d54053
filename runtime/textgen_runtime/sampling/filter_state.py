"""What the filters of a sampler remember of earlier draws."""

from typing import NamedTuple


class FilterState(NamedTuple):
    """The state of the filters of a ``Sampler``. Plain numbers, so that any format can store it.

    Attributes:
        recent: The latest drawn tokens that the penalties count, oldest first; at most ``penalty_window``.
            Empty if no penalty is on.
        mirostat_mu: The largest surprisal that mirostat allows, in bits. 0 if mirostat is off.
    """

    recent: tuple[int, ...] = ()
    mirostat_mu: float = 0.0
