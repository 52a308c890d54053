"""The stored tensors of a parsed model file: sizes first, values later."""

from collections.abc import Iterable
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import ModelFileError, quote

FLOAT, INT64 = 1, 7
ONNX_TYPES: dict[int, type[np.float32] | type[np.int64]] = {FLOAT: np.float32, INT64: np.int64}
ITEM_BYTES = {FLOAT: 4, INT64: 8}

Weights = NDArray[np.float32]


class StoredTensors:
    """A graph's stored tensors by name.

    Args:
        tensors: The graph's initializers, as ``onnx_file.parse`` returns them.

    Raises:
        ModelFileError: If a name is there twice.
    """

    def __init__(self, tensors: Iterable[Any]) -> None:
        self._tensors: dict[str, Any] = {}
        for tensor in tensors:
            if tensor.name in self._tensors:
                raise ModelFileError(f"its weights {quote(tensor.name)} are there twice")
            self._tensors[tensor.name] = tensor

    def __contains__(self, name: str) -> bool:
        return name in self._tensors

    def declared_size(self, name: str) -> int:
        """The first dimension that a tensor declares, not checked; 0 if there is none."""
        tensor = self._tensors.get(name)
        return int(tensor.dims[0]) if tensor is not None and tensor.dims else 0

    def shape(self, name: str, kind: int, dimensions: int) -> tuple[int, ...]:
        """A tensor's shape, once its size, type and place are seen to be right.

        Raises:
            ModelFileError: If it is missing, or one of these is wrong.
        """
        if name not in self._tensors:
            raise ModelFileError(f"its weights {quote(name)} are missing")
        tensor = self._tensors[name]
        if tensor.data_location:
            raise ModelFileError(f"its weights {quote(name)} are in another file: export it into one")
        # Counted first: a damaged file may have any number of them.
        shape = tuple(tensor.dims) if len(tensor.dims) == dimensions else ()
        if tensor.data_type != kind or len(shape) != dimensions or min(shape, default=1) < 1:
            raise ModelFileError(
                f"its weights {quote(name)} are of ONNX type {tensor.data_type} and shape "
                f"{list(tensor.dims[:8])}, not of type {kind} and {dimensions} dimensions"
            )
        # Once only, because protobuf copies the bytes at each access.
        raw, typed = len(tensor.raw_data), len(_typed_field(tensor, kind))
        found = raw or typed * ITEM_BYTES[kind]
        if found != prod(shape) * ITEM_BYTES[kind] or (raw and typed):
            raise ModelFileError(
                f"its weights {quote(name)} hold {found:,} bytes, which do not fill {list(shape)}"
            )
        return shape

    def integers(self, name: str) -> NDArray[np.int64]:
        """The values of a tensor of one dimension.

        Raises:
            ModelFileError: As ``shape``.
        """
        self.shape(name, INT64, 1)
        return self._values(name, INT64)

    def floats(self, name: str) -> Weights:
        """The values of a tensor that ``shape`` has checked.

        Raises:
            ModelFileError: If they hold NaN or infinity.
        """
        values: Weights = self._values(name, FLOAT)
        if not np.isfinite(values).all():
            raise ModelFileError(f"its weights {quote(name)} hold NaN or infinity: the model is damaged")
        return values

    def _values(self, name: str, kind: int) -> NDArray[Any]:
        tensor = self._tensors[name]
        raw, typed = tensor.raw_data, _typed_field(tensor, kind)
        if raw:
            stored = np.dtype(ONNX_TYPES[kind]).newbyteorder("<")
            values = np.frombuffer(raw, stored).astype(ONNX_TYPES[kind])
        else:
            # Not np.array, which would first make a list of Python's numbers.
            values = np.fromiter(typed, ONNX_TYPES[kind], len(typed))
        return values.reshape(tuple(tensor.dims))


def _typed_field(tensor: Any, kind: int) -> Any:
    return tensor.float_data if kind == FLOAT else tensor.int64_data
