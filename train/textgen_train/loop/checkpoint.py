"""The complete state of a training run, in memory.

``checkpoint_file.py`` reads and writes it. The state consists of tensors, numbers, strings, None, lists and
dicts, so it is stored without pickle. It does not contain the learning-rate schedule, which is a function of
the step and the used fraction of the budget, and no random generators, whose seeds are functions of the seed
and the step.
"""

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from textgen_train.parameters import from_plain, to_plain

from .events import Evaluation, Status


@dataclass(frozen=True)
class TrainerState:
    """The complete state of a trainer.

    With a budget of epochs, this state determines all later weights to the bit.

    Attributes:
        step: Number of updates so far. The epoch and the position in it follow from it.
        seed: Seed of the random numbers.
        replicas: Number of replicas of all processes.
        seconds: Time since the first update began, including the time between updates.
        weights: Trained weights of the network, by parameter name; float32.
        optimizers: Tensors that the optimizers store, by parameter name and tensor name; float32.
        carried_state: State of all lanes of the network after the last update, by name; float32. An LSTM has
            ``hidden`` and ``cell``, each of shape [layers, lanes, units].
    """

    step: int
    seed: int
    replicas: int
    seconds: float
    weights: dict[str, Tensor]
    optimizers: dict[str, dict[str, Tensor]]
    carried_state: dict[str, Tensor]


@dataclass
class ScheduleState:
    """The state of ``EvalSchedule``.

    Attributes:
        evaluation_seconds: Duration of the last evaluation. Before the first one, it is an estimate, or 0 if
            there is none.
        evaluations: Number of evaluations after updates.
        last_step: Number of updates before the last evaluation.
        last_seconds: Time since training began, at its end.
        paused_seconds: Total duration of all evaluations.
    """

    evaluation_seconds: float = 0.0
    evaluations: int = 0
    last_step: int = 0
    last_seconds: float = 0.0
    paused_seconds: float = 0.0


@dataclass(frozen=True)
class TrainingState:
    """The complete state of a training run.

    Attributes:
        trainer: State of the trainer.
        eval_schedule: State of the schedule of evaluations.
        status: Progress since the last evaluation.
        evaluations: All evaluations so far.
        samples: The samples of each evaluation; "" if none were drawn.
    """

    trainer: TrainerState
    eval_schedule: ScheduleState
    status: Status
    evaluations: list[Evaluation]
    samples: list[str]

    def as_dict(self) -> dict[str, Any]:
        """Return the state as nested dicts, to be stored. Tensors are shared, not copied."""
        values: dict[str, Any] = to_plain(self)
        return values

    @classmethod
    def from_dict(cls, values: object) -> "TrainingState":
        """Create a state from the result of ``as_dict``.

        Raises:
            ValueError: If it is another value.
        """
        state = from_plain(cls, values)
        if len(state.samples) != len(state.evaluations):
            raise ValueError("'samples' has an invalid value")
        return state
