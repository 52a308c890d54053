"""Generate text on a CPU, one character at a time, from a model that carries its state.

>>> import textgen_runtime as textgen
>>> model = textgen.load("model.onnx")  # doctest: +SKIP
>>> model.generate("the will to ", length=400, temperature=0.5, seed=7)  # doctest: +SKIP
"""

from ._sampler import Sampler, entropy, reweight, softmax
from .contract import Contract
from .engine import Engine, State
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
from .generator import Generation, Model
from .loading import load
from .saved import resume, save
from .scoring import Prediction, Score, predict
from .shipped import shipped
from .version import __version__
from .vocabulary import Normalization, Vocabulary

__all__ = [
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
    "SamplingError",
    "SavedGenerationError",
    "Score",
    "ScoringError",
    "State",
    "TextFileError",
    "TextgenError",
    "Vocabulary",
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
