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
    from ._core import PARAMETERS
    from .engine import Engine
    from .model import Batch, BatchChunk, Generation, Model, NextToken, load
    from .model_file import Metadata, Quantization, bundled_models, make_tokenizer
    from .results import Parameter
    from .sampler import Sampler, entropy, reweight, softmax
    from .sampling import Sampling
    from .saved import resume, save
    from .score import Prediction, Score, predict
    from .temperatures import TemperatureComparison, compare_temperatures
    from .text import Normalization
    from .tokenizer import Tokenizer

# The loader of a ZIP file has this attribute.
_archive = getattr(__spec__.loader, "archive", None)
if _archive is not None:
    raise ImportError(
        f"Python loads no compiled module from the archive {_archive}: unpack it, or make it with shiv, "
        "which unpacks it"
    )

# The lazily imported names of each module. Some of these modules import numpy, which takes longer than
# generating a short text.
_NAMES = {
    "_core": ("PARAMETERS",),
    "engine": ("Engine",),
    "model": ("Batch", "BatchChunk", "Generation", "Model", "NextToken", "load"),
    "model_file": ("Metadata", "Quantization", "bundled_models", "make_tokenizer"),
    "results": ("Parameter",),
    "sampler": ("Sampler", "entropy", "reweight", "softmax"),
    "sampling": ("Sampling",),
    "saved": ("resume", "save"),
    "score": ("Prediction", "Score", "predict"),
    "temperatures": ("TemperatureComparison", "compare_temperatures"),
    "text": ("Normalization",),
    "tokenizer": ("Tokenizer",),
}
_LAZY_MODULES = {name: module for module, names in _NAMES.items() for name in names}

__all__ = [
    "PARAMETERS",
    "Batch",
    "BatchChunk",
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
    "TemperatureComparison",
    "TextFileError",
    "TextgenError",
    "Tokenizer",
    "__version__",
    "bundled_models",
    "compare_temperatures",
    "entropy",
    "load",
    "make_tokenizer",
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
