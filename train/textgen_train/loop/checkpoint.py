"""The state of a training run: the value that a checkpoint file will hold.

It consists of tensors, numbers, strings, None, lists and dicts, so it can be stored without pickle. It does
not contain the learning-rate schedule, which is a function of the step and the used fraction of the budget.
"""

from dataclasses import dataclass
from typing import Any

from torch import Tensor


@dataclass(frozen=True)
class TrainerState:
    """The complete state of a trainer.

    With a budget of epochs it determines all later weights to the bit.

    Attributes:
        step: Number of updates so far.
        seconds: Time since the first update began, including time between updates.
        weights: Trained weights of the network, by name.
        optimizers: Tensors of the optimizers, by weight name and tensor name.
        carried: State of the network after the last update, by name. Each has shape [layers, lanes, units],
            float32. Empty if each window starts from the initial state.
        dropout_rngs: State of the generator of dropout masks of each replica; uint8.
        order_rng: State of the generator of the text order (lane offsets or a permutation of the windows),
            from before the epoch of the next update. The position in the epoch follows from ``step``.
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
    """The complete state of a training run.

    Attributes:
        trainer: State of the trainer.
        schedule: State of ``EvalSchedule``: time of the last evaluation, and duration of an evaluation.
        since_evaluation: State of ``UpdateTotals``: totals over the updates since the last evaluation.
        evaluations: All evaluations so far, each with the fields of ``Evaluation``.
        best: The evaluation of the best model; None before the first evaluation.
        samples: The samples of each evaluation; "" if none were drawn.
        samples_rng: State of the generator of samples; empty if none are drawn.
    """

    trainer: TrainerState
    schedule: dict[str, float]
    since_evaluation: dict[str, Any]
    evaluations: list[dict[str, Any]]
    best: dict[str, Any] | None
    samples: list[str]
    samples_rng: list[Any]

    def as_dict(self) -> dict[str, Any]:
        """Return the state as nested dicts, for storage; tensors, lists and dicts are shared, not copied."""
        return {**vars(self), "trainer": dict(vars(self.trainer))}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "TrainingState":
        """Create a state from the result of ``as_dict``."""
        return cls(**{**values, "trainer": TrainerState(**values["trainer"])})
