"""The learning-rate schedule: linear warm-up, then cosine annealing to zero."""

import math

from textgen_train.recipe import Recipe

# The learning rates of a recipe are for this number of units. Larger layers need lower learning rates.
REFERENCE_UNITS = 128

# The warm-up takes at most this fraction of the budget.
MAX_WARMUP_FRACTION = 0.1


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
