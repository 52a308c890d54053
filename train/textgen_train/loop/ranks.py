"""The processes of a training run, as the trainer and the command see them.

This module does not import torch, so that a single process can check its input before that import.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from textgen_runtime.errors import TextgenError

if TYPE_CHECKING:
    from torch import Tensor, nn


class DismissedError(Exception):
    """The first process has ended the run in this process, and reports why."""


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

    def __repr__(self) -> str:
        return f"{type(self).__name__}(rank={self.rank}, size={self.size})"

    @property
    def is_first(self) -> bool:
        """Whether this process decides."""
        return self.rank == 0

    def bind(self, parameters: "Sequence[nn.Parameter]", replicas: int) -> None:
        """Set the parameters whose gradients are added, and the number of replicas of this process."""

    def compare(self, values: Mapping[str, str]) -> None:
        """Check that these values, by name, are the same in all processes. Call it before ``begin``.

        Raises:
            TrainingError: If this process is the first, and a value differs or another process has failed.
            DismissedError: If this process is another one, in these cases.
            LostProcessError: If another process has ended.
        """

    def begin(self, values: Mapping[str, str]) -> None:
        """Wait until all processes are ready for the first update, and compare values.

        The exceptions are those of ``compare``.
        """

    def share_first(self, value: Any) -> Any:
        """Return the value of the first process. Call it before ``begin``, in all processes.

        The exceptions are those of ``compare``.
        """
        return value

    def fail(self, error: TextgenError) -> None:
        """Report an error of this process to the others, if they wait in a method above.

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
        """
        del gradients
        return list(losses), lr_factor

    def keep_state(self, state: "dict[str, Tensor]") -> None:
        """Keep the state of the lanes after the last update, for a request of the first process."""

    def gather(self, state: "dict[str, Tensor]") -> "list[dict[str, Tensor]]":
        """Return the states of the lanes of all processes in order. Only the first process may call it."""
        return [state]

    def report_interrupt(self) -> None:
        """Tell the first process with the next gradients that this process was interrupted."""

    def check_interrupt(self) -> None:
        """Raise KeyboardInterrupt if another process has reported an interrupt."""

    def close(self) -> None:
        """End the run in all other processes."""


SINGLE = Ranks()
