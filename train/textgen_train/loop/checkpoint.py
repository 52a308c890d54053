"""What a training run carries from one update to the next, as one value.

It is made of tensors, numbers, strings, None, lists and dicts alone, so that it can be stored without pickle.
The learning-rate schedule is not in it: a rate follows from the step and from how much of the budget is used.
"""

from dataclasses import dataclass
from typing import Any

from torch import Tensor


@dataclass(frozen=True)
class TrainerState:
    """What the trainer carries; with a budget of epochs it decides all later weights to the bit.

    Attributes:
        step: Updates so far.
        seconds: Since the first one began, time between updates included.
        weights: Of the network, by name; those that are trained.
        optimizers: The optimizers' tensors, by the weight's name and then by their own.
        carried: The network's state after the last update, by name; each of shape [layers, lanes, units],
            float32. Empty where each window is read from a blank state.
        dropout_rngs: The state of the generator of each replica's dropout masks; uint8.
        order_rng: The state of the generator of the order in which the text is read, as it was before the
            pass that the next update belongs to. The position in the pass follows from ``step``.
    """

    step: int
    seconds: float
    weights: dict[str, Tensor]
    optimizers: dict[str, dict[str, Tensor]]
    carried: dict[str, Tensor]
    dropout_rngs: list[Tensor]
    order_rng: Tensor | list[Any]


@dataclass(frozen=True)
class TrainingState:
    """What a whole run carries.

    Attributes:
        trainer: What the trainer carries.
        schedule: When the last evaluation was, and how long evaluations take.
        since_evaluation: What happened since the last evaluation.
        evaluations: All evaluations so far, each as ``Evaluation`` has it.
        best: The one whose model is kept; None before the first.
        samples: The samples of each evaluation; "" where there are none.
        samples_rng: The state of the generator that samples are drawn from; empty if none are drawn.
    """

    trainer: TrainerState
    schedule: dict[str, float]
    since_evaluation: dict[str, Any]
    evaluations: list[dict[str, Any]]
    best: dict[str, Any] | None
    samples: list[str]
    samples_rng: list[Any]

    def as_dict(self) -> dict[str, Any]:
        """The same as nested dicts, for storing; tensors, lists and dicts are shared, not copied."""
        return {**vars(self), "trainer": dict(vars(self.trainer))}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "TrainingState":
        """A state from what ``as_dict`` returned."""
        return cls(**{**values, "trainer": TrainerState(**values["trainer"])})
