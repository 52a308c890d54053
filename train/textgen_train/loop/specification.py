"""The specification of a training run: its data, its recipe and its seed.

The model file states it, with the results of the run, as ``textgen.training``.
"""

import platform
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

import onnx
import torch
from textgen_runtime import __version__
from textgen_runtime.corpora.corpus import Corpus
from textgen_runtime.model_file.metadata import STORED_NAMES
from textgen_runtime.text.tokenizer import CHARACTER

from textgen_train.data.dataset import Dataset
from textgen_train.models.device import has_bfloat16
from textgen_train.recipe import AnyRecipe

from .events import Evaluation
from .trainer import Trainer


def stored_recipe(recipe: AnyRecipe) -> dict[str, Any]:
    """Return the hyperparameters of a recipe under their names in model files."""
    values = {STORED_NAMES.get(name, name): value for name, value in asdict(recipe).items()}
    return {"name": recipe.name, **values}


@dataclass(frozen=True)
class RunSpecification:
    """Data and hyperparameters of a training run.

    Attributes:
        corpus: The training corpus.
        held_out: The held-out fraction of the corpus, or a separate held-out corpus.
        dataset: Training text and held-out text as tokens.
        recipe: The hyperparameters.
        seed: Seed of weights, dropout, the order of the text, and samples.
        run: Random name of the run, by which a resumed run recognizes its model file.
        parent: What is known of the model file whose weights the run started from; None for random weights.
    """

    corpus: Corpus
    held_out: float | Corpus
    dataset: Dataset
    recipe: AnyRecipe
    seed: int
    run: str = field(default_factory=lambda: secrets.token_hex(8))
    parent: Mapping[str, Any] | None = None

    def training_metadata(self, evaluation: Evaluation, trainer: Trainer) -> dict[str, Any]:
        """Return the value of ``textgen.training`` for the model of an evaluation."""
        return {
            "corpus": self.corpus.name,
            "sha256": self.corpus.sha256,
            "characters": self.corpus.characters,
            "split": self._describe_split(),
            **({} if self.parent is None else {"parent": dict(self.parent)}),
            "parameters": trainer.model.parameter_count,
            "run": self.run,
            "held_out_nats": evaluation.held_out_nats,
            "evaluation": evaluation.as_json(),
            "recipe": {
                **stored_recipe(self.recipe),
                "seed": self.seed,
                "bfloat16": has_bfloat16(trainer.model.device),
                "device": trainer.model.device.type,
            },
            # Needed to reproduce the model from the same recipe and corpus on the same machine.
            "budget": asdict(trainer.budget),
            "replicas": trainer.replicas.total,
            "versions": {
                "textgen-onnx": __version__,
                "torch": str(torch.__version__),
                "onnx": onnx.__version__,
                "python": platform.python_version(),
            },
            "date": datetime.now(UTC).date().isoformat(),
        }

    def _describe_split(self) -> dict[str, Any]:
        split: dict[str, Any] = {
            "training_characters": self.dataset.training_characters,
            "held_out_characters": self.dataset.held_out_characters,
        }
        if self.dataset.tokenizer.level != CHARACTER:
            split["training_tokens"] = len(self.dataset.training)
            split["held_out_tokens"] = len(self.dataset.held_out)
        if self.dataset.rare_count:
            training_share, held_out_share = self.dataset.unknown_shares
            split["unknown"] = {
                "symbols": self.dataset.rare_count,
                "training_share": training_share,
                "held_out_share": held_out_share,
            }
        if self.dataset.records is not None:
            split["training_records"], split["held_out_records"] = self.dataset.record_counts
        if isinstance(self.held_out, Corpus):
            split["held_out"] = {"corpus": self.held_out.name, "sha256": self.held_out.sha256}
        elif self.dataset.records is not None:
            split["held_out"] = f"{100 * self.held_out:g}% of the records, by a hash of each record"
        else:
            split["held_out"] = f"the last {100 * self.held_out:g}% of the corpus"
        return split
