"""The learning-rate schedule: linear warm-up, then half a cosine to zero."""

import math

from textgen_train.recipe import Recipe

# What learning rates are stated for; larger layers want lower ones.
REFERENCE_UNITS = 128

# A share of the budget.
MAX_WARMUP_SHARE = 0.1


def lr_factor(recipe: Recipe, update: int, progress: float) -> float:
    """The factor on the stated learning rates: a linear warm-up, and half a cosine to nothing.

    The warm-up is over after ``warmup`` updates or a tenth of the budget, whichever comes first: a short
    text may have no hundred updates in all.

    The factor is above 1 for networks of fewer than 128 units.

    Args:
        recipe: The learning rates, the warm-up and the size of the network.
        update: Its number, from 0.
        progress: How much of the budget is used up, in [0, 1]; the rate is 0 at 1, whatever the budget
            is counted in, so that every run ends annealed.
    """
    warmed = max((update + 1) / recipe.warmup, progress / MAX_WARMUP_SHARE) if recipe.warmup else 1.0
    size = math.sqrt(REFERENCE_UNITS / recipe.units)
    return size * min(1.0, warmed) * 0.5 * (1.0 + math.cos(math.pi * progress))
