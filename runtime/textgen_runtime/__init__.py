"""Generate text on a CPU, one character at a time, from a model that carries its state.

>>> import textgen_runtime as textgen
>>> model = textgen.load("model.onnx")  # doctest: +SKIP
>>> model.generate("the will to ", length=400, temperature=0.5, seed=7)  # doctest: +SKIP
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .errors import (
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

# Not when it is first used: the name would mean the module then.
from .shipped import shipped
from .version import __version__

if TYPE_CHECKING:
    from ._sampler import Sampler, reweight, softmax
    from .batch import Batch
    from .contract import Contract
    from .distributions import entropy
    from .engines.base import Engine, State
    from .generation import Generation
    from .loading import load
    from .model import Model
    from .normalization import Normalization
    from .sampling import Sampling
    from .saved import resume, save
    from .scoring import Prediction, Score, predict
    from .tokenizer import CharacterTokenizer, Tokenizer

# The module of each of the other names. They are imported when they are first used, because some need numpy,
# which takes longer to import than a short text takes to make.
_HOMES = {
    "Batch": "batch",
    "CharacterTokenizer": "tokenizer",
    "Contract": "contract",
    "Engine": "engines.base",
    "Generation": "generation",
    "Model": "model",
    "Normalization": "normalization",
    "Prediction": "scoring",
    "Sampler": "_sampler",
    "Sampling": "sampling",
    "Score": "scoring",
    "State": "engines.base",
    "Tokenizer": "tokenizer",
    "entropy": "distributions",
    "load": "loading",
    "predict": "scoring",
    "resume": "saved",
    "reweight": "_sampler",
    "save": "saved",
    "softmax": "_sampler",
}

__all__ = [
    "Batch",
    "CharacterTokenizer",
    "Contract",
    "CorpusError",
    "Engine",
    "Generation",
    "Model",
    "ModelFileError",
    "Normalization",
    "OutputError",
    "Prediction",
    "PromptError",
    "Sampler",
    "Sampling",
    "SamplingError",
    "SavedGenerationError",
    "Score",
    "ScoringError",
    "State",
    "TextFileError",
    "TextgenError",
    "Tokenizer",
    "__version__",
    "entropy",
    "load",
    "predict",
    "resume",
    "reweight",
    "save",
    "shipped",
    "softmax",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
