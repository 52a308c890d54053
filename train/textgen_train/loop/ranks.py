"""The processes of a training run, as the trainers and the command see them.

This module does not import torch, so that a single process can check its input before that import.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from textgen_runtime.errors import TextgenError

if TYPE_CHECKING:
    from torch import Tensor, nn

    from .checkpoint import TrainerState


class DismissedError(Exception):
    """The first process has ended the run in this process, and reports why."""


class RestoredError(Exception):
    """The first process has restored a state, from which this process must continue.

    Attributes:
        state: The state.
    """

    def __init__(self, state: "TrainerState") -> None:
        super().__init__("a state was restored")
        self.state = state


@dataclass(frozen=True)
class RankState:
    """The part of the state of a trainer that each process has for its own lanes.

    Attributes:
        carried_state: State of these lanes, as in ``TrainerState``.
        dropout_rngs: States of the generators of the replicas of this process; uint8.
    """

    carried_state: "dict[str, Tensor]"
    dropout_rngs: "list[Tensor]"


class Ranks:
    """The processes of a run. This class is for a single process; ``DistributedRanks`` is for several.

    The first process decides: it has the clock, evaluates, writes files and prints. The others only compute
    gradients, and follow its decisions.

    Attributes:
        rank: Number of this process, from 0.
        size: Number of processes.
        local_rank: Number of this process among those of its machine, from 0.
        local_size: Number of processes on this machine.
    """

    rank, size = 0, 1
    local_rank, local_size = 0, 1

    @property
    def is_first(self) -> bool:
        """Whether this process decides."""
        return self.rank == 0

    def bind(self, parameters: "Sequence[nn.Parameter]", replicas: int) -> None:
        """Set the parameters whose gradients are added, and the number of replicas of this process."""

    def begin(self, values: Mapping[str, str]) -> None:
        """Wait until all processes are ready for the first update.

        Args:
            values: What must be the same in all processes, by name.

        Raises:
            TrainingError: If this process is the first, and a value differs or another process has failed.
            DismissedError: If this process is another one, in these cases.
            LostProcessError: If another process has ended.
        """

    def share_first(self, value: Any) -> Any:
        """Return the value of the first process. Call it before ``begin``, in all processes.

        The exceptions are those of ``begin``.
        """
        return value

    def fail(self, error: TextgenError) -> None:
        """Report an error of this process to the others, if they wait for it in ``share_first`` or ``begin``.

        Raises:
            DismissedError: If this process is not the first, which reports the error.
        """

    def sum_gradients(
        self, gradients: "Sequence[Tensor]", losses: Sequence[float], lr_factor: float
    ) -> tuple[list[float], float]:
        """Add the gradients of all processes, in place and equally in each process.

        Args:
            gradients: The gradients of this process, one for each parameter; float32.
            losses: The losses of the replicas of this process.
            lr_factor: Factor of the learning rate. That of the first process counts.

        Returns:
            The losses of the replicas of all processes in order, and the factor of the first process.

        Raises:
            LostProcessError: If another process has ended.
            TrainingError: If this process is the first, and the weights of the processes differ.
            DismissedError: If the first process has ended the run.
            RestoredError: If the first process has restored a state.
        """
        del gradients
        return list(losses), lr_factor

    def keep_state(self, state: RankState) -> None:
        """Keep the state after the last update, for a request of the first process."""

    def gather(self, state: RankState) -> list[RankState]:
        """Return the states of all processes in order. Only the first process may call this method."""
        return [state]

    def send(self, state: "TrainerState") -> None:
        """Restore a state in all other processes. Only the first process may call this method."""

    def report_interrupt(self) -> None:
        """Tell the first process with the next gradients that this process was interrupted."""

    def check_interrupt(self) -> None:
        """Raise KeyboardInterrupt if another process has reported an interrupt."""

    def close(self) -> None:
        """End the run in all other processes."""


SINGLE = Ranks()
