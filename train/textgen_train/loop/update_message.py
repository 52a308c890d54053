"""The message of each process in an update: its gradients and a header.

The sum of the messages of all processes has the sums of the gradients, and the headers unchanged. The header
has one row for each process. In this row all other processes write zeros. The columns are:

- the command of the first process, or whether another process was interrupted
- at some updates a checksum of the weights, which must be the same in all processes
- the factor of the learning rate, which depends on the clock of the first process
- the losses of the replicas
"""

from collections.abc import Sequence
from enum import IntEnum

import torch
from torch import Tensor, nn

# Columns of the header, before those of the losses.
COMMAND, CHECKSUM, LR_FACTOR, LOSSES = range(4)

# Checksums are sent as float64, which represents all integers below this one.
CHECKSUM_MODULUS = 2**52

# A float64 has the size of four 16-bit integers.
INTEGERS_PER_FLOAT64 = 4


class Command(IntEnum):
    """The meaning of a message of the first process."""

    UPDATE = 0
    GATHER = 1
    RESTORE = 2
    DISMISS = 3


def encode_message(gradients: Tensor, values: Sequence[float], rank: int, size: int) -> Tensor:
    """Return the message of a process, shape [numbers], float32, on the device of the gradients.

    Args:
        gradients: All gradients in one dimension; float32.
        values: The row of this process in the header.
        rank: Number of this process.
        size: Number of processes.
    """
    header = torch.zeros(size, len(values), dtype=torch.float64)
    header[rank] = torch.tensor(values, dtype=torch.float64)
    # float32 holds a 16-bit integer and its sum with zeros exactly.
    integers = header.view(torch.int16).flatten().float()
    return torch.cat([gradients, integers.to(gradients.device)])


def decode_message(message: Tensor, size: int, columns: int) -> tuple[Tensor, Tensor]:
    """Return the sums of the gradients and the header, given the sum of the messages of all processes.

    Returns:
        The sums, on the device of the message, and the header: shape [processes, columns], float64, on the
        processor.
    """
    length = size * columns * INTEGERS_PER_FLOAT64
    sums, integers = message[:-length], message[-length:].cpu()
    return sums, integers.to(torch.int16).view(torch.float64).view(size, columns)


def checksum_of(parameters: Sequence[nn.Parameter]) -> float:
    """Return a number that depends on each bit of the weights, and not on the order of a sum."""
    total = sum(int(weight.detach().view(torch.int32).sum()) for weight in parameters)
    return float(total % CHECKSUM_MODULUS)
