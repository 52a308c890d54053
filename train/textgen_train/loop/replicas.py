"""Data-parallel training with replicas of a network.

Each replica has its own thread, and computes the gradient for a part of the batch's lanes. If a run has
several processes, each has its own replicas. On a GPU, a process has one replica.

The alternative is multithreading inside torch's operations. Its threads synchronize in each of the thousand
operations of an update. If another program occupies a processor, all other threads spin until that processor
is free. With two busy programs on two cores, training with torch's two threads was 18 times slower than with
one. Replicas synchronize once per update, and sleep while they wait. An update takes as long as its slowest
replica.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import TypeVar

import torch
from textgen_runtime.errors import Name
from textgen_runtime.processors import available_processors
from torch import Tensor

from textgen_train.errors import TrainingError
from textgen_train.models.network import CharNetwork
from textgen_train.options import MAX_THREADS

from .ranks import SINGLE, Ranks
from .seeds import derive_seed

# Minimum number of lanes per replica. A matrix product with fewer rows takes about the same time.
MIN_LANES = 8

T = TypeVar("T")


class Replicas:
    """Networks with shared parameters, each with its own lanes, thread and generator of dropout masks.

    The same seed and number of threads give the same gradients to the bit. The division of the lanes depends
    only on the numbers of lanes and replicas, not on the load of the machine. Two processes with one replica
    each give the same gradients as one process with two replicas.

    Args:
        model: The first replica. The others are copies with the same parameters.
        lanes: Largest number of lanes of a batch.
        threads: Maximum number of replicas in this process. If there are several replicas, each has at least
            ``MIN_LANES`` lanes of such a batch.
        ranks: The processes of the run. Each has the same number of replicas.

    Raises:
        TrainingError: If there are too many processes for the lanes.

    Attributes:
        model: The first replica of this process.
        ranks: The processes of the run.
        total: Number of replicas of all processes.
    """

    def __init__(self, model: CharNetwork, lanes: int, threads: int, ranks: Ranks = SINGLE) -> None:
        if 1 < ranks.size > lanes // MIN_LANES:
            raise TrainingError(
                f"{ranks.size} processes need batches of at least {ranks.size * MIN_LANES} sequences, but "
                f"the batches of this run have {lanes}: "
                f"start at most {max(1, lanes // MIN_LANES)}, or raise ",
                Name("batch"),
                " if the text is long enough",
            )
        is_gpu = model.device.type != "cpu"
        count = 1 if is_gpu else max(1, min(threads, lanes // MIN_LANES // ranks.size))
        self.model, self.ranks, self.total = model, ranks, ranks.size * count
        # Numbers of the replicas of this process among all replicas.
        self._numbers = range(ranks.rank * count, (ranks.rank + 1) * count)
        # Separate modules, because `functional_call` modifies a module while it runs.
        self._models = [model, *(model.clone(share_parameters=True) for _ in range(count - 1))]
        self._rngs = [torch.Generator(model.device) for _ in self._models]
        for replica, rng in zip(self._models, self._rngs, strict=True):
            replica.generator = rng
        self._parameters = [weight for weight in model.parameters() if weight.requires_grad]
        ranks.bind(self._parameters, count)
        # The first replica runs on the caller's thread.
        self._workers = (
            # torch's setting of the number of threads per operation is local to each thread.
            ThreadPoolExecutor(count - 1, "textgen-replica", initializer=torch.set_num_threads, initargs=(1,))
            if count > 1
            else None
        )

    def __len__(self) -> int:
        return len(self._models)

    def seed_dropout(self, seed: int, step: int) -> None:
        """Seed the dropout masks of each replica for an update, counted from 0."""
        for number, rng in zip(self._numbers, self._rngs, strict=True):
            rng.manual_seed(derive_seed(seed, "dropout", step, number))

    def check_total(self, total: int) -> None:
        """Raise TrainingError if a training state has another number of replicas."""
        if total == self.total:
            return
        is_gpu = self.model.device.type != "cpu"
        divisions = " or ".join(
            f"{count} process{'es' * (count > 1)} of {total // count} thread{'s' * (count < total)}"
            for count in range(1, total + 1)
            if total % count == 0 and (count == total or not is_gpu)
        )
        raise TrainingError(
            f"the training state has {total} replicas, but this trainer has {self.total}: train with "
            f"{divisions}"
        )

    def lane_slices(self, lanes: int) -> list[slice]:
        """Return the lanes of each replica of this process. In a batch of few lanes, some have none."""
        return [slice(lanes * i // self.total, lanes * (i + 1) // self.total) for i in self._numbers]

    def backward(
        self, loss: Callable[[int, CharNetwork, slice], Tensor], lanes: int, lr_factor: float = 1.0
    ) -> tuple[float, float]:
        """Compute the gradient of the sum of all replicas' losses and store it in the parameters.

        Args:
            loss: A function that is called once per replica that has lanes, with the index, the network and
                the lanes of the replica, and returns a scalar. It runs on the caller's thread for the first
                replica, and on a thread of its own for each of the others.
            lanes: Number of lanes of the batch.
            lr_factor: Factor of the learning rate, which depends on the clock of this process.

        Returns:
            The sum of the losses, and the factor of the learning rate in the first process.

        Raises:
            LostProcessError: If another process has ended.
        """
        slices = self.lane_slices(lanes)

        def gradients(i: int) -> tuple[float, Sequence[Tensor]]:
            if slices[i].start == slices[i].stop:
                return 0.0, tuple(map(torch.zeros_like, self._parameters))
            value = loss(i, self._models[i], slices[i])
            return value.item(), torch.autograd.grad(value, self._parameters)

        results = self._run_on_all_threads(gradients)
        total, *others = (replica_gradients for _, replica_gradients in results)
        for i, gradient in enumerate(total):
            # Add in a fixed order, so that the sum is reproducible to the bit.
            for replica_gradients in others:
                gradient += replica_gradients[i]  # noqa: PLW2901 (in place)
        losses, lr_factor = self.ranks.sum_gradients(total, [value for value, _ in results], lr_factor)
        for weight, gradient in zip(self._parameters, total, strict=True):
            weight.grad = gradient
        return losses[0] + sum(losses[1:]), lr_factor

    def for_each(self, call: Callable[[T], None], items: Iterable[T]) -> None:
        """Call a function for each item, on all threads of this process. The order is not defined."""
        rest = deque(items)

        def work(_: int) -> None:
            while True:
                try:
                    item = rest.popleft()
                except IndexError:
                    return
                call(item)

        self._run_on_all_threads(work)

    def _run_on_all_threads(self, call: Callable[[int], T]) -> list[T]:
        """Return the results of a function of the index of a replica, each called on the replica's thread."""
        if self._workers is None:
            return [call(0)]
        futures: list[Future[T]] = []
        try:
            futures += [self._workers.submit(call, i) for i in range(1, len(self))]
            return [call(0), *(future.result() for future in futures)]
        finally:
            # Also wait after an interrupt: the caller must not use a network while a replica still computes.
            wait(futures)


def resolve_thread_count(threads: int | None, ranks: Ranks = SINGLE) -> int:
    """Return the number of threads of each process.

    None means one per available processor, divided by the number of processes on this machine, but at most
    ``MAX_THREADS``.

    Raises:
        ValueError: If it is below 1.
    """
    if threads is None:
        return max(1, min(available_processors() // ranks.local_size, MAX_THREADS))
    if threads < 1:
        raise ValueError(f"threads must be at least 1, not {threads}")
    return threads


@contextmanager
def single_threaded_operations() -> Iterator[None]:
    """Make torch's operations single-threaded within the context."""
    previous = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(previous)
