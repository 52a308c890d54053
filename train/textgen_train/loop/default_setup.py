"""What the default recipe trains: its batches, its network, its optimizers and its learning rates."""

import math
from functools import partial

import numpy as np
import torch
from textgen_runtime.tokenizer import SpecialTokens
from torch import nn

from textgen_train.data.batches import RecordBatches, TextBatches
from textgen_train.data.tokens import Tokens, count_tokens
from textgen_train.models.cells import CELLS
from textgen_train.models.network import CharNetwork
from textgen_train.optim import Muon
from textgen_train.recipe import Recipe

from .setup import Setup

# Training needs at least one input and one target.
MIN_TEXT = 2

ADAMW_BETAS = (0.9, 0.99)

# The learning rates of a recipe are for this number of units. Larger layers need lower learning rates.
REFERENCE_UNITS = 128

# The warm-up takes at most this fraction of the budget.
MAX_WARMUP_FRACTION = 0.1


def default_setup(text: Tokens, vocabulary_size: int, recipe: Recipe, special: SpecialTokens) -> Setup:
    """Return the parts of a trainer, with random weights; the arguments are those of ``Trainer``.

    Raises:
        ValueError: If the text is too short.
    """
    if len(text) < MIN_TEXT:
        raise ValueError(f"the text has {len(text)} tokens, but training needs at least {MIN_TEXT}")
    batches = (
        TextBatches(text, recipe.batch, recipe.sequence_length)
        if special.begin is None
        else RecordBatches(text, special, recipe.batch, recipe.sequence_length)
    )
    model = CELLS[recipe.cell](
        vocabulary_size,
        units=recipe.units,
        layers=recipe.layers,
        embedding=recipe.embedding,
        dropout=recipe.dropout,
        input_dropout=recipe.input_dropout,
        weight_dropout=recipe.weight_dropout,
        residual=recipe.residual,
    )
    _initialize_output_bias(model, text)
    return Setup(batches, model, partial(_make_optimizers, model, recipe), partial(lr_factor, recipe))


def _make_optimizers(model: CharNetwork, recipe: Recipe) -> list[torch.optim.Optimizer]:
    """Return an optimizer for each matrix of the layers, after AdamW for all other weights.

    The matrices have Muon if its rate is above 0, and else AdamW. Most of the weights are in them, so several
    threads can share the work.
    """

    def adamw(weights: list[nn.Parameter]) -> torch.optim.Optimizer:
        decay = recipe.weight_decay
        return torch.optim.AdamW(weights, recipe.learning_rate, ADAMW_BETAS, weight_decay=decay, fused=True)

    def muon(weights: list[nn.Parameter]) -> torch.optim.Optimizer:
        return Muon(weights, recipe.muon_lr, recipe.muon_weight_decay)

    optimizer_of_matrix = muon if recipe.muon_lr else adamw
    # The largest first, so that no thread is left with one of them at the end.
    matrices = sorted(model.layer_matrices, key=torch.numel, reverse=True)
    matrix_ids = {id(matrix) for matrix in matrices}
    other_weights = [weight for weight in model.parameters() if id(weight) not in matrix_ids]
    return [adamw(other_weights), *(optimizer_of_matrix([matrix]) for matrix in matrices)]


@torch.no_grad()
def _initialize_output_bias(model: CharNetwork, text: Tokens) -> None:
    """Set the output bias to the logarithms of the character frequencies of the text.

    With a vocabulary of thousands, learning the frequencies would take most of the first epochs. After eight
    epochs on a Japanese text, this initialization lowers the loss by 0.03 nats.
    """
    # A pseudocount of 0.5 for each character, because the text may not contain all of them.
    counts = count_tokens(text, model.output.out_features) + 0.5
    model.output.bias.copy_(torch.from_numpy(np.log(counts / counts.sum())))


def lr_factor(recipe: Recipe, step: int, progress: float) -> float:
    """Return the factor by which the learning rates of a recipe are multiplied at an update.

    It is the product of three factors: linear warm-up, cosine annealing, and ``sqrt(128 / units)``. The
    warm-up lasts ``warmup`` updates or a tenth of the budget, whichever is shorter.

    Args:
        recipe: Provides ``warmup`` and ``units``.
        step: Index of the update, from 0.
        progress: Fraction of the budget used, in [0, 1]. At 1 the factor is 0, for both kinds of budget.
    """
    warmup = max((step + 1) / recipe.warmup, progress / MAX_WARMUP_FRACTION) if recipe.warmup else 1.0
    scale = math.sqrt(REFERENCE_UNITS / recipe.units)
    return scale * min(1.0, warmup) * 0.5 * (1.0 + math.cos(math.pi * progress))
