"""The metadata of 8-bit weights: how much they change the loss."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from textgen_runtime.errors import ModelFileError, quote

from .metadata_values import QUANTIZATION_KEY, read_value

BITS = 8


class Quantization(NamedTuple):
    """The weights of a model with fewer than 32 bits.

    Attributes:
        bits: The number of bits of a weight, which is 8.
        loss: Loss of the model on a text, in nats per character; None if no text was scored.
        float32_loss: Loss of the model with float32 weights on the same text; None if no text was scored.
        text: The scored text: its ``name``, the share at its end that was scored as ``last``, and the number
            of scored ``characters``. None if no text was scored.
    """

    bits: int = BITS
    loss: float | None = None
    float32_loss: float | None = None
    text: Mapping[str, Any] | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        return {**self._asdict(), "text": None if self.text is None else dict(self.text)}


def read_quantization(props: Mapping[str, str]) -> Quantization | None:
    """Read and check the metadata of 8-bit weights. None if there are none.

    Raises:
        ModelFileError: If they are invalid, or if the weights have another number of bits.
    """
    if QUANTIZATION_KEY not in props:
        return None
    value = read_value(props, QUANTIZATION_KEY)
    if not isinstance(value, dict) or type(value.get("bits")) is not int:
        raise ModelFileError(
            f"the metadata {QUANTIZATION_KEY!r} is {quote(value)}; expected an object with a number of bits: "
            "quantize the model again"
        )
    if value["bits"] != BITS:
        raise ModelFileError(
            f"the metadata {QUANTIZATION_KEY!r} has {quote(value['bits'])} bits, but this version supports "
            f"only {BITS}: upgrade textgen-onnx"
        )
    text = value.get("text")
    try:
        loss, float32_loss = _as_loss(value.get("loss")), _as_loss(value.get("float32_loss"))
        if not isinstance(text, dict | None):
            raise TypeError  # noqa: TRY301 (one message for all errors)
    except (OverflowError, TypeError):
        raise ModelFileError(
            f"the metadata {QUANTIZATION_KEY!r} is {quote(value)}; expected two losses and a text, or null: "
            "quantize the model again"
        ) from None
    # Read-only, because models are immutable.
    return Quantization(BITS, loss, float32_loss, None if text is None else MappingProxyType(text))


def _as_loss(value: Any) -> float | None:
    if value is not None and type(value) not in {int, float}:
        raise TypeError
    # The conversion of a very large integer raises OverflowError.
    return None if value is None else float(value)
