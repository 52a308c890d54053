"""What an engine returns: tokens, why a text ended, and measurements."""

from collections.abc import Sequence
from typing import Literal, NamedTuple, TypeAlias

# Why a text ended.
# - "length": it has as many tokens as it may have;
# - "stop": its last tokens are a stop text;
# - "end": its last token is the end token of a record;
# - "constraint": it matches the constraint, and ends there;
# - "masked": it matches the constraint only with the mask, after all texts of ``resample`` failed.
TextEnding: TypeAlias = Literal["length", "stop", "end", "constraint", "masked"]

# Why a lane ended: as its text, or because its text cannot match the constraint, which only a lane that draws
# unmasked does.
Ending: TypeAlias = TextEnding | Literal["mismatch"]


class Measurements:
    """Sums of times and entropies over generated tokens.

    Attributes:
        draws: Number of tokens drawn, with those that a constraint forbade and that are part of no text.
        model_seconds: Time in forward steps.
        sampler_seconds: Time in draws.
        entropy_bits: Sum of the entropies of the distributions of all draws, in bits.
        latencies: Nanoseconds of each draw and forward step together, or None if they are not kept.
    """

    def __init__(self, *, latencies: bool = False) -> None:
        self.draws = 0
        self.model_seconds = self.sampler_seconds = self.entropy_bits = 0.0
        self.latencies: list[int] | None = [] if latencies else None

    def add(self, draws: int, model_seconds: float, sampler_seconds: float, entropy_bits: float) -> None:
        """Add the measurements of another chunk."""
        self.draws += draws
        self.model_seconds += model_seconds
        self.sampler_seconds += sampler_seconds
        self.entropy_bits += entropy_bits

    def merge(self, other: "Measurements") -> None:
        """Add the sums of another object, such as that of another thread."""
        self.add(other.draws, other.model_seconds, other.sampler_seconds, other.entropy_bits)
        if self.latencies is not None:
            self.latencies += other.latencies or []


class Generated(NamedTuple):
    """The output of ``Engine.generate`` for one lane.

    Attributes:
        drawn: The number of drawn tokens.
        tokens: The tokens that are decided. They begin with those that were held back before, and lack those
            that are held back now, and a stop text that is not kept.
        ending: Why the lane ended, or None if it has not ended.
        logprobs: The natural logarithm of the probability of each drawn token, or None if the lane does not
            ask for it. The probability is that of the model: at temperature 1, before the constraint and the
            filters.
        stop: The tokens of the stop text that ended the lane. They can begin in an earlier call.
    """

    drawn: int
    tokens: Sequence[int]
    ending: Ending | None
    logprobs: Sequence[float] | None = None
    stop: Sequence[int] = ()
