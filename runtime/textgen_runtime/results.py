"""What the core returns: states, why a text ended, and descriptions of parameters."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

from .errors import SamplingError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# A contiguous float32 object with the buffer protocol: a numpy array, or a memoryview of format "f".
FloatBuffer: TypeAlias = Any


# The recurrent state of a model: arrays of shape [rows, batch, units] by name, as the model file declares
# them. An LSTM has ``hidden`` and ``cell``, a GRU only ``hidden``.
State: TypeAlias = dict[str, "NDArray[np.float32]"]

# Why a text ended.
# - "length": it has as many tokens as it may have;
# - "stop": its last tokens are a stop text;
# - "end": its last token is the end token of a record;
# - "constraint": it matches the constraint, and ends there;
# - "mismatch": it cannot match the constraint, which happens only without the mask;
# - "masked": it matches the constraint only with the mask, after all trials of ``resample`` failed: of
#   a ``BatchChunk`` only.
TextEnding: TypeAlias = Literal["length", "stop", "end", "constraint", "mismatch", "masked"]


class Generated(NamedTuple):
    """The output of ``Engine.generate`` for one lane.

    Attributes:
        generated: The number of new tokens.
        text: The text that is decided, as bytes of UTF-8; at level byte, as any bytes. It begins with what
            was held back before, and lacks what is held back now, and a stop text that is not kept.
        ending: Why the lane ended, or None if it has not ended.
        logprobs: The natural logarithm of the probability of each new token, or None if the lane does not ask
            for it. The probability is that of the model: at temperature 1, before the constraint and the
            filters.
        stop: The tokens of the stop text that ended the lane. They can begin in an earlier call.
        error: Why no further token could be drawn, or None. The text is at its end. The draw that failed used
            a random number.
    """

    generated: int
    text: bytes
    ending: TextEnding | None
    logprobs: Sequence[float] | None = None
    stop: Sequence[int] = ()
    error: SamplingError | None = None


class Parameter(NamedTuple):
    """The description of a sampling parameter, as ``runtime/core/parameters.def`` defines it.

    Attributes:
        name: The name, such as ``"top_p"``.
        kind: ``"number"``, ``"whole"``, ``"switch"``, ``"text"``, ``"texts"``, ``"characters"``,
            ``"biases"``, ``"choices"`` or ``"schema"``.
        group: A heading for several parameters; "" for the temperature.
        value: A name for the value in a help text.
        help: What the parameter does, in one line. ``{top_p}`` stands for the parameter of this name.
        default: The default.
        off: The number that turns the parameter off, or None.
        low: The least number.
        high: The largest number.
        low_is_open: Whether ``low`` is itself no value.
        order: A draw applies the parameters in this order.
        in_core: Whether the C core applies the parameter to each draw.
        requirement: What a number must be, such as ``"a number from 0 to 1"``.
    """

    name: str
    kind: str
    group: str
    value: str
    help: str
    default: Any
    off: float | None
    low: float
    high: float
    low_is_open: bool
    order: int
    in_core: bool
    requirement: str

    def accepts(self, value: float) -> bool:
        """Return whether a number is a value of the parameter."""
        is_inside = self.low <= value <= self.high and not (self.low_is_open and value == self.low)
        return is_inside and (self.kind != "whole" or value == int(value))
