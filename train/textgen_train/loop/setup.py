"""The parts in which the recipes differ."""

from collections.abc import Callable
from typing import NamedTuple

from torch.optim import Optimizer

from textgen_train.data.batches import Batches
from textgen_train.models.network import CharNetwork


class Setup(NamedTuple):
    """What a trainer trains.

    Attributes:
        batches: The batches of the text.
        model: The network, with its initial weights, on the processor.
        make_optimizers: Returns the optimizers of the network, which is on its device by then.
            ``Update.learning_rate`` is that of the first one. Their steps may run at the same time on several
            threads.
        lr_factor: Returns the factor of the learning rates at an update, from its index and the used fraction
            of the budget.
    """

    batches: Batches
    model: CharNetwork
    make_optimizers: Callable[[], list[Optimizer]]
    lr_factor: Callable[[int, float], float]
