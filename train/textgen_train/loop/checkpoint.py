"""The complete state of a training run, in memory.

``checkpoint_file.py`` reads and writes it. The state consists of tensors, numbers, strings, None, lists and
dicts, so it is stored without pickle. It does not contain the learning-rate schedule, which is a function of
the step and the used fraction of the budget.
"""

import random
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor

from textgen_train.errors import TrainingError
from textgen_train.parameters import from_plain, to_plain

from .events import Evaluation, Update


def python_rng_state(rng: random.Random) -> list[Any]:
    """Return the state of a Python generator as numbers, lists and None."""
    version, numbers, gauss = rng.getstate()
    return [version, list(numbers), gauss]


def python_rng_from_state(state: list[Any]) -> random.Random:
    """Create a Python generator from the result of ``python_rng_state``.

    Raises:
        TrainingError: If this is not the state of a Python generator.
    """
    rng = random.Random()
    try:
        version, numbers, gauss = state
        rng.setstate((version, tuple(numbers), gauss))
    except (TypeError, ValueError, OverflowError) as error:
        raise TrainingError(f"invalid state of a random generator: {error}") from error
    return rng


def torch_rng_from_state(state: Tensor, device: torch.device | None = None) -> torch.Generator:
    """Create a torch generator on a device, None for the processor, from the result of its ``get_state``.

    Raises:
        TrainingError: If this is not the state of a torch generator of this device.
    """
    rng = torch.Generator(device or "cpu")
    try:
        rng.set_state(state)
    except (TypeError, RuntimeError) as error:
        raise TrainingError(
            "invalid state of a random generator: restore an earlier state, or choose the same device"
        ) from error
    return rng


# The generator of the order of the text in each epoch.
OrderRng: TypeAlias = random.Random | torch.Generator


def order_rng_state(rng: OrderRng) -> Tensor | list[Any]:
    """Return a copy of the state of a generator: uint8, or numbers, lists and None."""
    return rng.get_state() if isinstance(rng, torch.Generator) else python_rng_state(rng)


def restored_order_rng(rng: OrderRng, state: Tensor | list[Any]) -> OrderRng:
    """Create a generator of the same type as another one, from the result of ``order_rng_state``.

    Raises:
        TrainingError: If this is not the state of such a generator.
    """
    if isinstance(rng, torch.Generator) is not isinstance(state, Tensor):
        raise TrainingError("the training state is from another type of trainer: use the same recipe")
    return torch_rng_from_state(state) if isinstance(state, Tensor) else python_rng_from_state(state)


@dataclass(frozen=True)
class TrainerState:
    """The complete state of a trainer.

    With a budget of epochs, this state determines all later weights to the bit.

    Attributes:
        step: Number of updates so far.
        seconds: Time since the first update began, including the time between updates.
        weights: Trained weights of the network, by parameter name; float32.
        optimizers: Tensors that the optimizers store, by parameter name and tensor name; float32.
        carried_state: State of all lanes of the network after the last update, by name; float32. An LSTM has
            ``hidden`` and ``cell``, each of shape [layers, lanes, units]. Empty for ``ClassicTrainer``, which
            carries no state.
        dropout_rngs: For each replica, the state of the generator of its dropout masks; uint8.
        order_rng: State of the generator that draws the text order of each epoch. It is the state at the
            start of the epoch of the next update. ``restore`` draws the order of that epoch again. The
            position within the epoch follows from ``step``. A uint8 tensor for ``ClassicTrainer``, a list for
            ``StatefulTrainer``.
    """

    step: int
    seconds: float
    weights: dict[str, Tensor]
    optimizers: dict[str, dict[str, Tensor]]
    carried_state: dict[str, Tensor]
    dropout_rngs: list[Tensor]
    order_rng: Tensor | list[Any]


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


@dataclass
class TotalsState:
    """The state of ``UpdateTotals``: totals over the updates since the last evaluation.

    Attributes:
        updates: Number of updates.
        targets: Number of targets in these updates.
        total_nats: Sum of the losses of all targets, in nats.
        seconds: Time since the last evaluation.
        last: The last update; None if there was none.
    """

    updates: int = 0
    targets: float = 0.0
    total_nats: float = 0.0
    seconds: float = 0.0
    last: Update | None = None


@dataclass(frozen=True)
class TrainingState:
    """The complete state of a training run.

    Attributes:
        trainer: State of the trainer.
        eval_schedule: State of the schedule of evaluations.
        since_evaluation: Totals over the updates since the last evaluation.
        evaluations: All evaluations so far.
        samples: The samples of each evaluation; "" if none were drawn.
        samples_rng: State of the generator of prompts and seeds of samples; empty if no samples are drawn.
    """

    trainer: TrainerState
    eval_schedule: ScheduleState
    since_evaluation: TotalsState
    evaluations: list[Evaluation]
    samples: list[str]
    samples_rng: list[Any]

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
