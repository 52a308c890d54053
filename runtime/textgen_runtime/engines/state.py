"""The recurrent state of a model, and the float32 buffers that engines and their callers exchange."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# A contiguous float32 object with the buffer protocol: a numpy array, a memoryview of format "f", or an array
# of the native engine.
FloatBuffer: TypeAlias = Any


class State(Mapping[str, "NDArray[np.float32]"]):
    """The recurrent state of a model: read-only arrays by name.

    The model file declares the arrays. An LSTM has ``hidden`` and ``cell``, a GRU only ``hidden``. Each item
    is a float32 numpy array of shape [rows, batch, units]. Reading an item imports numpy. Reading ``buffers``
    does not.

    Args:
        buffers: Contiguous float32 buffers of shape [rows, batch, units], by name. They are not copied and
            must not change later: generations and their copies share them.

    Attributes:
        buffers: The buffers by name.
    """

    __slots__ = ("buffers",)

    def __init__(self, buffers: Mapping[str, FloatBuffer]) -> None:
        self.buffers = dict(buffers)

    def __getitem__(self, name: str) -> "NDArray[np.float32]":
        import numpy as np

        return np.asarray(memoryview(self.buffers[name]).toreadonly())

    def __iter__(self) -> Iterator[str]:
        return iter(self.buffers)

    def __len__(self) -> int:
        return len(self.buffers)

    def __repr__(self) -> str:
        return f"State({', '.join(self.buffers)})"

    # Mapping.__eq__ would compare numpy arrays, whose truth value is ambiguous.
    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def __copy__(self) -> "State":
        return self

    def __reduce__(self) -> "tuple[Callable[..., State], tuple[dict[str, tuple[bytes, tuple[int, ...]]]]]":
        views = {name: memoryview(buffer) for name, buffer in self.buffers.items()}
        return _restore, ({name: (view.tobytes(), tuple(view.shape or ())) for name, view in views.items()},)


def _restore(arrays: Mapping[str, tuple[bytes, Sequence[int]]]) -> State:
    """Return a state from the bytes and the shapes of its arrays."""
    # The type stub of cast accepts only a list.
    return State(
        {name: memoryview(content).cast("f", list(shape)) for name, (content, shape) in arrays.items()}
    )
