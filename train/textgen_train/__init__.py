"""Train a character-level LSTM on a text and export it to ONNX.

The command is ``textgen-train``; these are its parts, for programs, as the README shows. They are imported
when they are first used, because torch alone takes seconds.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .classic import ClassicTrainer
    from .corpus import Corpus, read_corpus
    from .dataset import Dataset, make_dataset
    from .errors import CorpusError, ExportError, RecipeError, TrainingError
    from .evaluation import held_out_loss
    from .exporter import Exported, export
    from .model import CharLSTM
    from .recipe import PRESETS, Budget, ClassicRecipe, Recipe
    from .stream_trainer import StreamTrainer
    from .trainer import Trainer, Update

_HOMES = {
    "PRESETS": "recipe",
    "Budget": "recipe",
    "CharLSTM": "model",
    "ClassicRecipe": "recipe",
    "ClassicTrainer": "classic",
    "Corpus": "corpus",
    "CorpusError": "errors",
    "Dataset": "dataset",
    "ExportError": "errors",
    "Exported": "exporter",
    "Recipe": "recipe",
    "RecipeError": "errors",
    "StreamTrainer": "stream_trainer",
    "Trainer": "trainer",
    "TrainingError": "errors",
    "Update": "trainer",
    "export": "exporter",
    "make_dataset": "dataset",
    "held_out_loss": "evaluation",
    "read_corpus": "corpus",
}

__all__ = [
    "PRESETS",
    "Budget",
    "CharLSTM",
    "ClassicRecipe",
    "ClassicTrainer",
    "Corpus",
    "CorpusError",
    "Dataset",
    "ExportError",
    "Exported",
    "Recipe",
    "RecipeError",
    "StreamTrainer",
    "Trainer",
    "TrainingError",
    "Update",
    "export",
    "held_out_loss",
    "make_dataset",
    "read_corpus",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
