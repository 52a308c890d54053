"""The model under measurement and the settings of the measurement."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from textgen_runtime.engines.core import CoreNetwork
from textgen_runtime.engines.native import NativeEngine
from textgen_runtime.errors import ModelFileError
from textgen_runtime.generation.loading import open_model
from textgen_runtime.generation.model import Model
from textgen_runtime.text.levels import CHARACTER

from .busy import ProcessorTime

if TYPE_CHECKING:
    from ._baselines import BaselineLoops


@dataclass(frozen=True)
class BenchContext:
    """The model under measurement and the settings of the measurement.

    Attributes:
        content: Content of the model file, whose texts do not end. All engines, baseline loops and processes
            use it.
        engines: Names of the engines to measure.
        temperature: Sampling temperature.
        seconds: Duration of each comparison.
        threads: Number of threads in multithreaded measurements.
        long_run: Number of tokens in the longer of the two memory measurements.
        unit: What the tables call one token: "character", "byte" or "token".
        processor_time: Accumulates the times of the single-threaded measurements.
    """

    content: bytes
    engines: tuple[str, ...]
    temperature: float
    seconds: float
    threads: int
    long_run: int
    unit: str = CHARACTER
    processor_time: ProcessorTime = field(default_factory=ProcessorTime)

    def model(self, engine: str, threads: int = 1) -> Model:
        return open_model(self.content, engine, threads)  # type: ignore[arg-type]

    def baseline_loops(self, threads: int = 1) -> "BaselineLoops":
        # A local import, because the module imports onnxruntime.
        from ._baselines import BaselineLoops

        return BaselineLoops(self.content, threads, self.temperature)

    @cached_property
    def core(self) -> CoreNetwork | None:
        """The network in the C core; None if the native engine does not support the graph."""
        try:
            engine = self.model("native").engine
        except ModelFileError:
            return None
        return engine.core if isinstance(engine, NativeEngine) else None

    def generator(self, engine: str) -> Callable[[int], object]:
        """Return a function that generates the given number of tokens through the public API."""
        return self.model(engine).start(temperature=self.temperature, seed=0).take
