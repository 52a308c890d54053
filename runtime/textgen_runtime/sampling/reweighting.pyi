from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Buffer

RealArrayLike: TypeAlias = NDArray[np.floating[Any]] | Sequence[float] | Buffer

def reweight(probabilities: RealArrayLike, temperature: float = 0.5) -> NDArray[np.float64]: ...
def softmax(logits: RealArrayLike, temperature: float = 1.0) -> NDArray[np.float64]: ...
def draw_with(logits: RealArrayLike, temperature: float, uniform: float) -> int: ...
