"""A section of ``docs/experiments.md``, and what sections share."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from .trial import Experiment, Idea


class Section(NamedTuple):
    """A section of the page.

    Attributes:
        title: Its heading.
        about: What all rows share, in Markdown.
        experiments: The rows. The first one is what the others are compared with.
        findings: What follows from the rows, a sentence or more each, in Markdown.
    """

    title: str
    about: str
    experiments: tuple[Experiment, ...]
    findings: tuple[str, ...]


SMALL_22 = "the preset: rate 0.02, decay 0.05, recurrent weights 5%"
PENALTIES = {"activation_penalty": 4.0, "confidence_penalty": 0.1}
CONFIDENCE = {"confidence_penalty": 0.1}
ACTIVATION = {"activation_penalty": 4.0}
MORE_DROPOUT = {"dropout": 0.1, "weight_dropout": 0.2}
LESS_DROPOUT = {"dropout": 0.0, "weight_dropout": 0.1}
ADAMW = {
    "muon_lr": 0.0,
    "learning_rate": 0.012,
    "weight_decay": 0.05,
    "activation_penalty": 0.0,
    "confidence_penalty": 0.0,
}
FOR_LARGE_VOCABULARY = {
    "units": 144,
    "layers": 1,
    "embedding": 64,
    "dropout": 0.1,
    "weight_dropout": 0.1,
    "batch": 16,
    "sequence_length": 32,
}


def rows(
    epochs: int,
    changes: Mapping[str, Mapping[str, Any]],
    common: Mapping[str, Any] = MappingProxyType({}),
    **shared: Any,
) -> tuple[Experiment, ...]:
    """Return an experiment for each label, with its changes of the hyperparameters after the common ones."""
    return tuple(
        Experiment(label, epochs, changes={**common, **own}, **shared) for label, own in changes.items()
    )


def idea_rows(epochs: int, ideas_by_label: Mapping[str, Idea], **shared: Any) -> tuple[Experiment, ...]:
    """Return an experiment for each label, with an idea that it follows."""
    return tuple(Experiment(label, epochs, idea=idea, **shared) for label, idea in ideas_by_label.items())
