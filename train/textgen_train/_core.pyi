from collections.abc import Mapping
from typing import NamedTuple, TypeAlias, final

from typing_extensions import Buffer

Values: TypeAlias = Mapping[str, float | None]
MAX_THREADS: int
PRECISIONS: tuple[str, ...]

class Option(NamedTuple):
    name: str
    is_number: bool
    default: float
    least: float
    most: float
    help: str

class Batch(NamedTuple):
    time: int
    lanes: int
    is_start: bool
    count: float  # type: ignore[assignment]  # as a field, it hides the method of tuples
    divisor: float
    inputs: memoryview
    targets: memoryview
    places: memoryview

@final
class Corpus:
    def __init__(
        self,
        text: bytes,
        name: str,
        *,
        level: str = "character",
        records: str | None = None,
        held_out: float | None = None,
        held_out_text: bytes | None = None,
        unicode: str | None = None,
        lowercase: bool = False,
        vocabulary: str | None = None,
        special: str | None = None,
        extend: bool = False,
    ) -> None: ...
    vocabulary_size: int
    common_symbols: int
    training_tokens: int
    held_out_tokens: int
    training_characters: int
    held_out_characters: int
    training_records: int
    held_out_records: int
    held_out_share: float
    vocabulary: str
    special: str | None
    prompts: str
    sha256: str
    before: int
    training: memoryview
    held_out: memoryview

@final
class Batches:
    def __init__(self, corpus: Corpus, values: Values) -> None: ...
    per_epoch: int
    def get(self, seed: int, epoch: int, index: int) -> Batch: ...

@final
class Trainer:
    def __init__(
        self, corpus: Corpus, values: Values, seed: int, threads: int, kernels: str | None = None
    ) -> None: ...
    parameters: int
    memory: int
    per_epoch: int
    step: int
    epoch: float
    threads: int
    precision: str
    kernels: str
    def regularize(self, values: Values) -> None: ...
    def update(self, progress: float) -> float: ...
    def score(self) -> float: ...
    def score_start(self, tokens: int) -> float: ...
    def model(self, training: str) -> bytes: ...
    def start_from(self, file: bytes) -> None: ...
    def teach(self, shares: Buffer, tokens: Buffer | None, columns: int, weight: float) -> None: ...
    def save(self) -> bytes: ...
    def resume(self, data: Buffer) -> None: ...

def options() -> list[Option]: ...
def choose_preset(
    preset: str, common_symbols: int, tokens: int, epochs: float | None
) -> dict[str, float]: ...
def preset_for(common_symbols: int, tokens: int, epochs: float) -> str: ...
def nearest_preset(layers: int, units: int) -> str: ...
def rate_factor(values: Values, step: int, progress: float) -> float: ...
def quantize(file: bytes, more: Mapping[str, str] | None = None) -> bytes: ...
