from collections.abc import Iterable, Mapping
from typing import Any, final

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Buffer

from .filter_state import FilterState
from .filters import Filters
from .reweighting import RealArrayLike
from .reweighting import draw_with as draw_with
from .reweighting import reweight as reweight
from .reweighting import softmax as softmax

@final
class Sampler:
    def __init__(
        self,
        temperature: float = 0.5,
        seed: int = 0,
        substream: int = 0,
        *,
        top_k: int = 0,
        typical_p: float = 1.0,
        top_p: float = 1.0,
        min_p: float = 0.0,
        repetition_penalty: float = 1.0,
        frequency_penalty: float = 0.0,
        presence_penalty: float = 0.0,
        penalty_window: int = 64,
        mirostat_tau: float = 0.0,
        mirostat_eta: float = 0.1,
        logit_bias: Mapping[int, float] | Iterable[tuple[int, float]] | None = None,
    ) -> None: ...
    def draw(self, logits: RealArrayLike) -> int: ...
    def propose(self, logits: RealArrayLike) -> int: ...
    def accept(self, token: int) -> None: ...
    def probabilities(self, logits: RealArrayLike) -> NDArray[np.float64]: ...
    def draw_batch(self, logits: NDArray[np.floating[Any]] | Buffer) -> NDArray[np.int64]: ...
    @property
    def seed(self) -> int: ...
    @property
    def substream(self) -> int: ...
    @property
    def temperature(self) -> float: ...
    @temperature.setter
    def temperature(self, value: float) -> None: ...
    @property
    def filters(self) -> Filters: ...
    @filters.setter
    def filters(self, value: Filters) -> None: ...
    @property
    def filter_state(self) -> FilterState | None: ...
    @filter_state.setter
    def filter_state(self, value: FilterState | None) -> None: ...
    @property
    def position(self) -> int: ...
    @position.setter
    def position(self, value: int) -> None: ...

def restore_sampler(
    temperature: float,
    seed: int,
    substream: int,
    position: int,
    filters: Filters = ...,
    filter_state: FilterState | None = None,
) -> Sampler: ...
