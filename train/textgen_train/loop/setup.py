"""The parts in which the recipes differ."""

from collections.abc import Callable
from typing import NamedTuple

from torch.optim import Optimizer

from textgen_train.data.batches import Batches
from textgen_train.models.network import CharNetwork
from textgen_train.optim import ForEach


class Setup(NamedTuple):
    """What a trainer trains.

    Attributes:
        batches: The batches of the text.
        model: The network, with its initial weights, on the processor.
        make_optimizers: Returns the optimizers of the network, which is on its device by then.
            ``Update.learning_rate`` is that of the first one. The argument calls a function for each of some
            matrices.
        lr_factor: Returns the factor of the learning rates at an update, from its index and the used fraction
            of the budget.
    """

    batches: Batches
    model: CharNetwork
    make_optimizers: Callable[[ForEach], list[Optimizer]]
    lr_factor: Callable[[int, float], float]
