"""Checked copies of states and logits that a caller sets."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from textgen_runtime.engines.base import FloatBuffer, State, float_buffer

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def copy_state(value: "Mapping[str, ArrayLike]", sizes: Mapping[str, tuple[int, int]]) -> State:
    """Return a copy of the state of one lane.

    Args:
        value: A ``State``, or arrays by name.
        sizes: The layers and units of each array of the model.

    Raises:
        ValueError: If the names or shapes are not those of the model.
        TypeError: If the value is not a mapping.
    """
    if not isinstance(value, Mapping):
        raise TypeError(
            f"the state must be a State or a mapping of arrays by name, not {type(value).__name__}"
        )
    if set(value) != set(sizes):
        raise ValueError(
            f"the state must have the arrays {', '.join(sizes)}, not {', '.join(map(str, value))}"
        )
    arrays = value.buffers if isinstance(value, State) else value
    return State(
        {
            name: copy_floats(arrays[name], (layers, 1, units), f"the state array {name!r}")
            for name, (layers, units) in sizes.items()
        }
    )


def copy_floats(values: "ArrayLike", shape: tuple[int, ...], name: str) -> FloatBuffer:
    """Return a contiguous float32 copy of the values.

    Args:
        values: The values.
        shape: The required shape.
        name: The name of the values in an error message.

    Raises:
        ValueError: If the values do not have this shape.
    """
    copied: FloatBuffer
    if isinstance(values, memoryview) and values.format == "f" and values.c_contiguous:
        # Buffers of the native engine are copied without importing numpy.
        copied = float_buffer(values.tobytes(), values.shape or ())
    else:
        import numpy as np

        copied = np.array(values, np.float32, order="C")
    if copied.shape != shape:
        raise ValueError(f"{name} must be of shape {shape}, not {copied.shape}")
    return copied
