"""One model, and how it is measured."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from textgen_runtime.engines.core import CoreNetwork
from textgen_runtime.engines.native import NativeEngine
from textgen_runtime.errors import ModelFileError
from textgen_runtime.generation.loading import open_model
from textgen_runtime.generation.model import Model

from .busy import ProcessorTime

if TYPE_CHECKING:
    from ._loops import HandWritten


@dataclass(frozen=True)
class Bench:
    """One model, and how it is measured.

    Attributes:
        content: Of the model file, as every engine, loop and process reads it.
        engines: Names of the engines that are measured.
        temperature: Of all draws.
        seconds: For each comparison.
        threads: What "all threads" means.
        long_run: Characters of the run whose memory is measured.
        processor_time: Where the sections add up what computing in one thread took.
    """

    content: bytes
    engines: tuple[str, ...]
    temperature: float
    seconds: float
    threads: int
    long_run: int
    processor_time: ProcessorTime = field(default_factory=ProcessorTime)

    def model(self, engine: str, threads: int = 1) -> Model:
        return open_model(self.content, engine, threads)  # type: ignore[arg-type]

    def hand_written(self, threads: int = 1) -> "HandWritten":
        # Only here, because it imports onnxruntime.
        from ._loops import HandWritten

        return HandWritten(self.content, threads, self.temperature)

    @cached_property
    def core(self) -> CoreNetwork | None:
        """The native engine's; None if it does not know the graph."""
        try:
            engine = self.model("native").engine
        except ModelFileError:
            return None
        return engine.core if isinstance(engine, NativeEngine) else None

    def takes(self, engine: str) -> Callable[[int], object]:
        """Makes so many characters with the public API."""
        return self.model(engine).start(temperature=self.temperature, seed=0).take
