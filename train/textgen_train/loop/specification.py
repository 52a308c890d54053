"""The specification of a training run: its options, its data and its recipe.

The model file states it, with the results of the run, as ``textgen.training``.
"""

import platform
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

import onnx
import torch
from textgen_runtime import __version__
from textgen_runtime.corpus import Corpus
from textgen_runtime.model_file import STORED_NAMES, Metadata
from textgen_runtime.tokenizer import CHARACTER

from textgen_train.data.dataset import Dataset
from textgen_train.models.device import has_bfloat16
from textgen_train.options import RunOptions
from textgen_train.recipe import AnyRecipe

from .events import Evaluation
from .trainer import Trainer


def stored_recipe(recipe: AnyRecipe) -> dict[str, Any]:
    """Return the hyperparameters of a recipe under their names in model files."""
    values = {STORED_NAMES.get(name, name): value for name, value in asdict(recipe).items()}
    return {"name": recipe.name, **values}


@dataclass(frozen=True)
class RunSpecification:
    """What determines a training run, besides the machine.

    Attributes:
        options: The options of the run.
        corpus: The training corpus.
        held_out: The separate held-out corpus; None if a part of ``corpus`` is held out.
        dataset: Training text and held-out text as tokens.
        recipe: The hyperparameters.
        expected_epochs: The number of epochs for which the recipe was chosen; None if it was not known.
        command: The words of the command that started the run; empty if there was none.
        run: Random name of the run, by which a resumed run recognizes its model file.
        parent: What is known of the model file whose weights the run started from; None for random weights.
        threads: Maximum number of threads of this process, for training and evaluation.
        teachers: What is known of each model from whose predictions the run learns.
    """

    options: RunOptions
    corpus: Corpus
    held_out: Corpus | None
    dataset: Dataset
    recipe: AnyRecipe
    expected_epochs: float | None = None
    command: Sequence[str] = ()
    run: str = field(default_factory=lambda: secrets.token_hex(8))
    parent: Mapping[str, Any] | None = None
    threads: int = 1
    teachers: Sequence[Mapping[str, Any]] = ()

    @property
    def metadata(self) -> Metadata:
        """The metadata of the model file that follow from the dataset."""
        return Metadata(self.dataset.tokenizer, self.dataset.normalization, records=self.dataset.records)

    def training_metadata(self, evaluation: Evaluation, trainer: Trainer) -> dict[str, Any]:
        """Return the value of ``textgen.training`` for the model of an evaluation."""
        return {
            "corpus": self.corpus.name,
            "sha256": self.corpus.sha256,
            "characters": self.corpus.characters,
            "split": self._describe_split(),
            **({} if self.parent is None else {"parent": dict(self.parent)}),
            **self._describe_teachers(),
            "parameters": trainer.model.parameter_count,
            "run": self.run,
            "held_out_nats": evaluation.held_out_nats,
            "evaluation": evaluation.as_json(),
            "recipe": {
                **stored_recipe(self.recipe),
                "seed": self.options.seed,
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

    def _describe_teachers(self) -> dict[str, Any]:
        if not self.teachers:
            return {}
        teachers = [dict(teacher) for teacher in self.teachers]
        return {"teachers": teachers, "teacher_weight": self.options.weight_of_teachers}

    def _describe_split(self) -> dict[str, Any]:
        dataset, share = self.dataset, 100 * (self.dataset.held_out_share or 0.0)
        split: dict[str, Any] = {
            "training_characters": dataset.training_characters,
            "held_out_characters": dataset.held_out_characters,
        }
        if dataset.tokenizer.level != CHARACTER:
            split["training_tokens"] = len(dataset.training)
            split["held_out_tokens"] = len(dataset.held_out)
        if dataset.rare_count:
            training_share, held_out_share = dataset.unknown_shares
            split["unknown"] = {
                "min_count": self.options.min_count,
                "symbols": dataset.rare_count,
                "training_share": training_share,
                "held_out_share": held_out_share,
            }
        if dataset.records is not None:
            split["training_records"], split["held_out_records"] = dataset.record_counts
        if self.held_out is not None:
            split["held_out"] = {"corpus": self.held_out.name, "sha256": self.held_out.sha256}
        elif dataset.records is not None:
            split["held_out"] = f"{share:g}% of the records, by a hash of each record"
        else:
            split["held_out"] = f"the last {share:g}% of the corpus"
        return split
