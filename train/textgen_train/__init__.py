"""Train a character-level LSTM on a text and export it to ONNX.

The command is ``textgen-train``; these are its parts, for programs. They are imported when they are first
used, because torch alone takes seconds.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .corpus import Corpus, read_corpus
    from .dataset import Dataset, make_dataset
    from .evaluation import nats_per_character
    from .exporter import Exported, export
    from .model import CharLSTM
    from .recipe import Budget, Recipe
    from .trainer import Trainer

_HOMES = {
    "Budget": "recipe",
    "CharLSTM": "model",
    "Corpus": "corpus",
    "Dataset": "dataset",
    "Exported": "exporter",
    "Recipe": "recipe",
    "Trainer": "trainer",
    "export": "exporter",
    "make_dataset": "dataset",
    "nats_per_character": "evaluation",
    "read_corpus": "corpus",
}

__all__ = [
    "Budget",
    "CharLSTM",
    "Corpus",
    "Dataset",
    "Exported",
    "Recipe",
    "Trainer",
    "export",
    "make_dataset",
    "nats_per_character",
    "read_corpus",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
