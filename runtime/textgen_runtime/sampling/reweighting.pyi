from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Buffer

Reals: TypeAlias = NDArray[np.floating[Any]] | Sequence[float] | Buffer

def reweight(probabilities: Reals, temperature: float = 0.5) -> NDArray[np.float64]: ...
def softmax(logits: Reals, temperature: float = 1.0) -> NDArray[np.float64]: ...
def draw_with(logits: Reals, temperature: float, uniform: float) -> int: ...
