"""Train a model of the characters, bytes or words of a text, and export it to ONNX.

These names are what a program needs. ``Corpus`` and ``Trainer`` are the trainer in C, which the command
``textgen-train`` also uses.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from textgen_runtime.errors import CorpusError

from ._core import Corpus, Trainer, choose_preset
from .errors import ExportError, LossError, RecipeError, TrainingError

if TYPE_CHECKING:
    from .config import Config
    from .dataset import Dataset, read_dataset
    from .quantize import Quantized, quantize_model

# The module of each name that is imported at its first use.
_LAZY_MODULES = {
    "Config": "config",
    "Dataset": "dataset",
    "Quantized": "quantize",
    "quantize_model": "quantize",
    "read_dataset": "dataset",
}

__all__ = [
    "Config",
    "Corpus",
    "CorpusError",
    "Dataset",
    "ExportError",
    "LossError",
    "Quantized",
    "RecipeError",
    "Trainer",
    "TrainingError",
    "choose_preset",
    "quantize_model",
    "read_dataset",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY_MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_LAZY_MODULES[name]}", __name__), name)
