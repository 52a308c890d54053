"""Several processes that train one network: data-parallel training with torch's distributed package.

Each process has the network, its optimizers, and a part of the lanes of each batch. In an update,
``all_reduce`` adds two tensors of all processes: the header, and then the gradients. Therefore all processes
make the same update.

The header has one row for each process, and zeros in the rows of the others. The columns are:

- the command of the first process, or whether another process was interrupted
- at some updates a checksum of the weights, which must be the same in all processes
- the factor of the learning rate, which depends on the clock of the first process
- the losses of the replicas

Between two updates, the first process may send a header with another command than that of an update. The
others are already waiting for the header of their next update. They obey, and then send their header again.
"""

import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from enum import IntEnum
from typing import Any

import torch
import torch.distributed as dist
from textgen_runtime.errors import Name, TextgenError
from torch import Tensor, nn
from torch.distributed.rendezvous import rendezvous

from textgen_train.errors import LostProcessError, TrainingError

from .ranks import DismissedError, Ranks

# Time within which all processes must have started and read the corpus.
START_TIMEOUT = timedelta(minutes=30)
# How long a process waits for the next update; it must be longer than any evaluation. It matters only if a
# machine has left the network. If a process ends, the others know at once.
UPDATE_TIMEOUT = timedelta(hours=6)

# Maximum time that a process waits at the end until all others have received its last message.
END_TIMEOUT = timedelta(seconds=10)

# Number of updates between two comparisons of the weights.
UPDATES_PER_CHECK = 100

# Columns of the header, before those of the losses.
COMMAND, CHECKSUM, LR_FACTOR, LOSSES = range(4)

# Checksums are sent as float64, which represents all integers below this one.
CHECKSUM_MODULUS = 2**52


class Command(IntEnum):
    """The meaning of a header of the first process."""

    UPDATE = 0
    GATHER = 1
    DISMISS = 2


class DistributedRanks(Ranks):
    """This process, and its connections to the others.

    Args:
        rank: Number of this process.
        size: Number of processes, at least 2.
        local_rank: Number of this process among those of its machine.
        local_size: Number of processes on this machine.

    Raises:
        TrainingError: If the processes do not find each other.
        LostProcessError: If another process ends before all are connected, or cannot be reached.
    """

    def __init__(self, rank: int, size: int, local_rank: int, local_size: int) -> None:
        self.rank, self.size = rank, size
        self.local_rank, self.local_size = local_rank, local_size
        self._interrupted = self._is_lost = self._is_ended = False
        self._updates = 0
        self._parameters: list[nn.Parameter] = []
        self._kept: dict[str, Tensor] = {}
        self._group: dist.ProcessGroup | None = None
        if size == local_size:
            _use_loopback()
        try:
            self._store, _, _ = next(rendezvous("env://", rank, size, timeout=START_TIMEOUT))
        except (RuntimeError, ValueError) as error:
            raise TrainingError(
                f"process {rank} of {size} cannot reach the others: start the run with torchrun"
            ) from error
        # All processes have started. Now they connect to each other.
        with self._detecting_lost_processes():
            # For messages that are in the memory of the processor. `begin` creates the group for gradients.
            dist.init_process_group(
                "gloo", store=self._store, rank=rank, world_size=size, timeout=START_TIMEOUT
            )

    @classmethod
    def from_environment(cls, variables: Mapping[str, str]) -> "DistributedRanks":
        """Join the processes that torchrun has started.

        Raises:
            TrainingError: If a variable is invalid, or as for the class.
        """
        try:
            rank, size = int(variables["RANK"]), int(variables["WORLD_SIZE"])
            local_rank = int(variables.get("LOCAL_RANK", "0"))
            local_size = int(variables.get("LOCAL_WORLD_SIZE", "1"))
        except (KeyError, ValueError) as error:
            raise TrainingError(
                "RANK and WORLD_SIZE are not the numbers that torchrun sets: start the run with torchrun, or "
                "unset these variables"
            ) from error
        return cls(rank, size, local_rank, local_size)

    def bind(self, parameters: Sequence[nn.Parameter], replicas: int) -> None:
        self._parameters = list(parameters)
        self._sizes = [parameter.numel() for parameter in parameters]
        self._columns = LOSSES + replicas

    def begin(self, values: Mapping[str, str]) -> None:
        device = self._parameters[0].device
        self.compare(
            {**values, "kind of device": device.type, "number of threads": str(self._columns - LOSSES)}
        )
        # gloo sends only from the memory of the processor, and nccl only from that of CUDA devices.
        self._wire = device if device.type == "cuda" else torch.device("cpu")
        backend = "nccl" if device.type == "cuda" else "gloo"
        with self._detecting_lost_processes():
            self._group = dist.new_group(backend=backend, timeout=UPDATE_TIMEOUT)

    def compare(self, values: Mapping[str, str]) -> None:
        self._agree(None, values)

    def share_first(self, value: Any) -> Any:
        return self._agree(None, {}, value)

    def fail(self, error: TextgenError) -> None:
        if self._group is None and not (self._is_ended or self._is_lost):
            self._agree(error, {})

    def sum_gradients(
        self, gradients: Sequence[Tensor], losses: Sequence[float], lr_factor: float
    ) -> tuple[list[float], float]:
        checksum = 0.0 if self._updates % UPDATES_PER_CHECK else checksum_of(self._parameters)
        own = [float(self._interrupted and not self.is_first), checksum, lr_factor, *losses]
        header = self._share_header(own)
        while header[0, COMMAND] != Command.UPDATE:
            self._obey(Command(int(header[0, COMMAND])))
            header = self._share_header(own)
        if bool((header[:, CHECKSUM] != header[0, CHECKSUM]).any()):
            raise self._error(
                f"the weights of the processes differ after update {self._updates}: all machines need the "
                "same type of processor and the same versions"
            )
        self._updates += 1
        flat = self._add(torch.cat([gradient.flatten() for gradient in gradients]))
        for gradient, total in zip(gradients, torch.split(flat, self._sizes), strict=True):
            gradient.copy_(total.view_as(gradient))
        return header[:, LOSSES:].flatten().tolist(), float(header[0, LR_FACTOR])

    def keep_state(self, state: dict[str, Tensor]) -> None:
        self._kept = state

    def gather(self, state: dict[str, Tensor]) -> list[dict[str, Tensor]]:
        self._send_command(Command.GATHER)
        return self._share(state)

    def report_interrupt(self) -> None:
        self._interrupted = True

    def check_interrupt(self) -> None:
        if self._interrupted:
            self._interrupted = False
            raise KeyboardInterrupt

    def close(self) -> None:
        with suppress(LostProcessError):
            if self.is_first and self._group is not None and not (self._is_ended or self._is_lost):
                self._is_ended = True
                self._send_command(Command.DISMISS)
        if self._is_ended and not self._is_lost:
            with suppress(RuntimeError):
                self._wait_for_all()
        with suppress(RuntimeError):
            dist.destroy_process_group()

    def _wait_for_all(self) -> None:
        """Wait until all processes have ended the run.

        If a process closes its connections while it has received more than it has read, the others may lose
        its last message.
        """
        if self._store.add("ended", 1) == self.size:
            self._store.set("all ended", "")
        self._store.wait(["all ended"], END_TIMEOUT)

    def _agree(self, error: TextgenError | None, values: Mapping[str, str], shared: Any = None) -> Any:
        """Exchange errors and values. If there is an error or a difference, the first process raises it.

        Returns:
            The value ``shared`` of the first process.
        """
        own = None if error is None else (*error.args, f" ({self._name()})")
        everywhere = self._share((own, values, shared))
        failure = next((parts for parts, _, _ in everywhere if parts is not None), None)
        if failure is not None:
            raise self._error(*(error.args if error else failure)) from error
        for rank, (_, others, _) in enumerate(everywhere):
            # A process may wait at another place, with other values.
            for name in {**values, **others}:
                if others.get(name) != values.get(name):
                    raise self._error(
                        f"process {rank} has another {name} than this one: all processes need the same "
                        "corpus, options and versions"
                    )
        return everywhere[0][2]

    def _obey(self, command: Command) -> None:
        """Do what the first process wants in another process."""
        if command == Command.DISMISS:
            self._is_ended = True
            raise DismissedError
        self._share(self._kept)

    def _send_command(self, command: Command) -> None:
        self._share_header([float(command), *[0.0] * (self._columns - 1)])

    def _share_header(self, row: Sequence[float]) -> Tensor:
        """Return the header, given the row of this process: shape [processes, columns], float64."""
        header = torch.zeros(self.size, self._columns, dtype=torch.float64)
        header[self.rank] = torch.tensor(row, dtype=torch.float64)
        header = self._add(header)
        self._interrupted |= bool(header[1:, COMMAND].any())
        return header

    def _add(self, values: Tensor) -> Tensor:
        """Return the sum of the tensors of all processes, on the device of the tensor of this one."""
        total = values.to(self._wire)
        with self._detecting_lost_processes():
            dist.all_reduce(total, group=self._group)
            return total.to(values.device)

    def _share(self, value: Any) -> list[Any]:
        """Return the values of all processes in order."""
        values: list[Any] = [None] * self.size
        with self._detecting_lost_processes():
            dist.all_gather_object(values, value)
        return values

    @contextmanager
    def _detecting_lost_processes(self) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:
            self._is_lost = True
            raise LostProcessError(
                f"another process of the run has ended or cannot be reached ({self._name()} reports this)"
            ) from error

    def _error(self, *parts: str | Name) -> Exception:
        """Return the exception for an error that ends all processes, and that only the first one reports."""
        self._is_ended = True
        return TrainingError(*parts) if self.is_first else DismissedError()

    def _name(self) -> str:
        return f"process {self.rank} on {socket.gethostname()}"


def checksum_of(parameters: Sequence[nn.Parameter]) -> float:
    """Return a number that depends on each bit of the weights, and not on the order of a sum."""
    total = sum(int(weight.detach().view(torch.int32).sum()) for weight in parameters)
    return float(total % CHECKSUM_MODULUS)


def _use_loopback() -> None:
    """Let gloo connect the processes of one machine without its network, unless the user has chosen one.

    Otherwise gloo looks up the address of the machine by its name, which takes seconds where that fails.
    """
    names = [name for _, name in socket.if_nameindex()] if hasattr(socket, "if_nameindex") else []
    if loopback := next((name for name in names if name in ("lo", "lo0")), None):
        os.environ.setdefault("GLOO_SOCKET_IFNAME", loopback)
