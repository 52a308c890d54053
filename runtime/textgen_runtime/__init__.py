"""Generate text on a CPU, one character at a time, with the recurrent state carried between characters.

>>> import textgen_runtime as textgen
>>> model = textgen.load("model.onnx")  # doctest: +SKIP
>>> model.generate("the will to ", length=400, temperature=0.5, seed=7)  # doctest: +SKIP
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ._version import __version__
from .errors import (
    ConstraintError,
    CorpusError,
    ModelFileError,
    OutputError,
    PromptError,
    SamplingError,
    SavedGenerationError,
    ScoringError,
    TextFileError,
    TextgenError,
)

if TYPE_CHECKING:
    from ._core import PARAMETERS, Parameter
    from .engines.base import Engine, State
    from .generation.batch import Batch, BatchChunk
    from .generation.completion import Completion
    from .generation.generation import Generation, NextToken
    from .generation.loading import load
    from .generation.model import Model
    from .generation.saved_generation import resume, save
    from .model_file.metadata import Metadata, Quantization
    from .model_file.source import bundled_models
    from .sampler import Sampler, entropy, reweight, softmax
    from .sampling.parameters import Sampling
    from .scoring.prediction import Prediction, Score, predict
    from .scoring.temperature_plot import plot_temperatures
    from .scoring.temperatures import TemperatureComparison, compare_temperatures
    from .text.normalization import Normalization
    from .text.tokenizer import Tokenizer
    from .text.vocabulary import CharacterTokenizer

# The loader of a ZIP file has this attribute.
_archive = getattr(__spec__.loader, "archive", None)
if _archive is not None:
    raise ImportError(
        f"Python loads no compiled module from the archive {_archive}: unpack it, or make it with shiv, "
        "which unpacks it"
    )

# The module of each lazily imported name. Some of these modules import numpy, which takes longer than
# generating a short text.
_LAZY_MODULES = {
    "Batch": "generation.batch",
    "BatchChunk": "generation.batch",
    "CharacterTokenizer": "text.vocabulary",
    "Completion": "generation.completion",
    "Metadata": "model_file.metadata",
    "Engine": "engines.base",
    "Generation": "generation.generation",
    "Model": "generation.model",
    "NextToken": "generation.generation",
    "Normalization": "text.normalization",
    "PARAMETERS": "_core",
    "Parameter": "_core",
    "Prediction": "scoring.prediction",
    "Quantization": "model_file.metadata",
    "Sampler": "sampler",
    "Sampling": "sampling.parameters",
    "Score": "scoring.prediction",
    "State": "engines.base",
    "TemperatureComparison": "scoring.temperatures",
    "Tokenizer": "text.tokenizer",
    "bundled_models": "model_file.source",
    "compare_temperatures": "scoring.temperatures",
    "entropy": "sampler",
    "load": "generation.loading",
    "plot_temperatures": "scoring.temperature_plot",
    "predict": "scoring.prediction",
    "resume": "generation.saved_generation",
    "reweight": "sampler",
    "save": "generation.saved_generation",
    "softmax": "sampler",
}

__all__ = [
    "PARAMETERS",
    "Batch",
    "BatchChunk",
    "CharacterTokenizer",
    "Completion",
    "ConstraintError",
    "CorpusError",
    "Engine",
    "Generation",
    "Metadata",
    "Model",
    "ModelFileError",
    "NextToken",
    "Normalization",
    "OutputError",
    "Parameter",
    "Prediction",
    "PromptError",
    "Quantization",
    "Sampler",
    "Sampling",
    "SamplingError",
    "SavedGenerationError",
    "Score",
    "ScoringError",
    "State",
    "TemperatureComparison",
    "TextFileError",
    "TextgenError",
    "Tokenizer",
    "__version__",
    "bundled_models",
    "compare_temperatures",
    "entropy",
    "load",
    "plot_temperatures",
    "predict",
    "resume",
    "reweight",
    "save",
    "softmax",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY_MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f".{_LAZY_MODULES[name]}", __name__), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
