"""Train a character-level LSTM on a text and export it to ONNX.

The command is ``textgen-train``; these are its parts, for programs, as the README shows. They are imported
when they are first used, because torch alone takes seconds.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from textgen_runtime.corpus import Corpus, read_corpus

    from .classic import ClassicTrainer
    from .dataset import Dataset, make_dataset
    from .errors import CorpusError, ExportError, RecipeError, TrainingError
    from .evaluation import held_out_loss
    from .exporter import Exported, export
    from .loop.trainer import Trainer
    from .loop.training_state import TrainerState
    from .loop.update import Update
    from .model import CharLSTM
    from .recipe import PRESETS, Budget, ClassicRecipe, Recipe, preset
    from .stream_trainer import StreamTrainer

# The module of each, in this package unless the runtime is named.
_HOMES = {
    "PRESETS": "recipe",
    "Budget": "recipe",
    "CharLSTM": "model",
    "ClassicRecipe": "recipe",
    "ClassicTrainer": "classic",
    "Corpus": "textgen_runtime.corpus",
    "CorpusError": "errors",
    "Dataset": "dataset",
    "ExportError": "errors",
    "Exported": "exporter",
    "Recipe": "recipe",
    "RecipeError": "errors",
    "StreamTrainer": "stream_trainer",
    "Trainer": "loop.trainer",
    "TrainerState": "loop.training_state",
    "TrainingError": "errors",
    "Update": "loop.update",
    "export": "exporter",
    "make_dataset": "dataset",
    "held_out_loss": "evaluation",
    "preset": "recipe",
    "read_corpus": "textgen_runtime.corpus",
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
    "TrainerState",
    "TrainingError",
    "Update",
    "export",
    "held_out_loss",
    "make_dataset",
    "preset",
    "read_corpus",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = _HOMES[name]
    return getattr(import_module(home if home.startswith("textgen_runtime.") else f".{home}", __name__), name)
