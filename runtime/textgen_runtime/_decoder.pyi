from collections.abc import Sequence
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from ._sampler import Sampler
from .engine import Measurements
from .native_weights import PackedWeights

def kernel_names() -> list[str]: ...

@final
class Decoder:
    def __init__(
        self, packed: PackedWeights, kernels: str | None = None, never_drawn: int | None = None
    ) -> None: ...
    @property
    def kernels(self) -> str: ...
    def read(
        self,
        tokens: NDArray[np.int64],
        hidden: NDArray[np.float32],
        cell: NDArray[np.float32],
        last_only: bool = False,
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]: ...
    def decode(
        self,
        samplers: Sequence[Sampler],
        logits: NDArray[np.float32],
        hidden: NDArray[np.float32],
        cell: NDArray[np.float32],
        length: int,
        measurements: Measurements | None = None,
    ) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]: ...
    def stream_weights(self, repeats: int) -> None: ...

def activation(name: str, values: NDArray[np.float32], kernels: str) -> NDArray[Any]: ...
