"""The lines that ``textgen-train`` prints before and after a training run."""

import shlex
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from textgen_runtime.model_file.bundled import MODEL_FILE, unambiguous_path

from textgen_train.data.dataset import Dataset
from textgen_train.hyperparameters import option_name
from textgen_train.loop.eval_result import Evaluation
from textgen_train.recipe import LARGE_VOCABULARY, AnyRecipe

if TYPE_CHECKING:
    from textgen_train.loop.run import TrainingRun


def describe_dataset(name: str, dataset: Dataset) -> str:
    """Return a line with the sizes of the training text, the held-out text and the vocabulary."""
    line = (
        f"{name}: {len(dataset.training):,} training characters, {len(dataset.held_out):,} held-out "
        f"characters, {len(dataset.tokenizer):,} symbols"
    )
    if dataset.rare_count:
        training_share, held_out_share = dataset.unknown_shares
        line += (
            f"; the unknown symbol replaces {dataset.rare_count:,} rare symbols, "
            f"{training_share:.2%} of the training text and {held_out_share:.2%} of the held-out text"
        )
    return f"{line}\n"


def describe_preset_changes(recipe: AnyRecipe, usual: AnyRecipe) -> str:
    """Return a line with the values that differ from the usual preset, or "" if there are none.

    Args:
        recipe: The recipe for the vocabulary of the corpus.
        usual: The same recipe for a small vocabulary.
    """
    changes = [
        f"--{option_name(name)} {value}"
        for name, value in asdict(recipe).items()
        if value != getattr(usual, name)
    ]
    return f"preset values for {LARGE_VOCABULARY} symbols or more: {', '.join(changes)}\n" if changes else ""


def describe_best_model(folder: Path, best: Evaluation | None) -> str:
    """Return a description of the saved model, for a run that ended early."""
    if best is None:
        return f"no model was saved to {folder}"
    return f"{folder / MODEL_FILE} holds the best model so far (held-out loss {best.held_out_nats:.4f} nats)"


def describe_result(folder: Path, run: "TrainingRun") -> str:
    """Return the last line of a completed run: the loss, the files and the next command."""
    loss = f"held-out loss {run.best.held_out_nats:.4f} nats; " if run.best else ""
    model = shlex.quote(unambiguous_path(folder))
    return f"{loss}wrote {', '.join(run.files)} to {folder}; next: textgen-run {model} --temp 0.5\n"
