"""Train a model of the characters, bytes or words of a text, and export it to ONNX.

These names are the parts of the command ``textgen-train``. Each is imported at its first use, because
importing torch takes seconds.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from textgen_runtime.corpus import Corpus, read_corpus

    from .data.dataset import Dataset
    from .data.dataset_from_corpus import make_dataset
    from .errors import (
        CorpusError,
        ExportError,
        LossError,
        LostProcessError,
        RecipeError,
        TrainingError,
    )
    from .export.exporter import Exported, export_onnx
    from .export.quantizer import Quantized, quantize_onnx
    from .loop.checkpoint import TrainerState
    from .loop.events import Update
    from .loop.held_out_loss import held_out_loss
    from .loop.trainer import Trainer
    from .models.cells import CharConv, CharGRU, CharLSTM
    from .models.network import CharNetwork
    from .presets import PRESETS, preset
    from .recipe import Budget, ClassicRecipe, Recipe

# The module of each name, relative to this package unless it is part of textgen_runtime.
_LAZY_MODULES = {
    "PRESETS": "presets",
    "Budget": "recipe",
    "CharConv": "models.cells",
    "CharGRU": "models.cells",
    "CharLSTM": "models.cells",
    "CharNetwork": "models.network",
    "ClassicRecipe": "recipe",
    "Corpus": "textgen_runtime.corpus",
    "CorpusError": "errors",
    "Dataset": "data.dataset",
    "ExportError": "errors",
    "Exported": "export.exporter",
    "LossError": "errors",
    "LostProcessError": "errors",
    "Quantized": "export.quantizer",
    "Recipe": "recipe",
    "RecipeError": "errors",
    "Trainer": "loop.trainer",
    "TrainerState": "loop.checkpoint",
    "TrainingError": "errors",
    "Update": "loop.events",
    "export_onnx": "export.exporter",
    "make_dataset": "data.dataset_from_corpus",
    "held_out_loss": "loop.held_out_loss",
    "preset": "presets",
    "quantize_onnx": "export.quantizer",
    "read_corpus": "textgen_runtime.corpus",
}

__all__ = [
    "PRESETS",
    "Budget",
    "CharConv",
    "CharGRU",
    "CharLSTM",
    "CharNetwork",
    "ClassicRecipe",
    "Corpus",
    "CorpusError",
    "Dataset",
    "ExportError",
    "Exported",
    "LossError",
    "LostProcessError",
    "Quantized",
    "Recipe",
    "RecipeError",
    "Trainer",
    "TrainerState",
    "TrainingError",
    "Update",
    "export_onnx",
    "held_out_loss",
    "make_dataset",
    "preset",
    "quantize_onnx",
    "read_corpus",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY_MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = _LAZY_MODULES[name]
    if not module.startswith("textgen_runtime."):
        module = f".{module}"
    return getattr(import_module(module, __name__), name)
