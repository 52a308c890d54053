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
from textgen_runtime.system.processors import available_processors
from torch import Tensor

from textgen_train.errors import TrainingError
from textgen_train.models.network import CharNetwork
from textgen_train.options import MAX_THREADS

from .checkpoint import torch_rng_from_state
from .ranks import SINGLE, Ranks

# Minimum number of lanes per replica. A matrix product with fewer rows takes about the same time.
MIN_LANES = 8

# Distance between the seeds of replicas. With consecutive seeds, replica 1 of a run would have the same masks
# as replica 0 of the run with the next seed.
SEED_STRIDE = 0x9E3779B97F4A7C15

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
        seed: Seed of the dropout masks.
        ranks: The processes of the run. Each has the same number of replicas.

    Raises:
        TrainingError: If there are too many processes for the lanes.

    Attributes:
        model: The first replica of this process.
        ranks: The processes of the run.
        total: Number of replicas of all processes.
    """

    def __init__(
        self, model: CharNetwork, lanes: int, threads: int, seed: int, ranks: Ranks = SINGLE
    ) -> None:
        if 1 < ranks.size > lanes // MIN_LANES:
            raise TrainingError(
                f"{ranks.size} processes need batches of at least {ranks.size * MIN_LANES} sequences, and "
                f"those of this run have {lanes}: start at most {max(1, lanes // MIN_LANES)}, or raise ",
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
        self.restore_rngs(
            [
                torch.Generator(model.device).manual_seed((seed + i * SEED_STRIDE) % 2**64)
                for i in self._numbers
            ]
        )
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

    def rng_states(self) -> list[Tensor]:
        """Return the state of each replica's generator of dropout masks; uint8."""
        return [rng.get_state() for rng in self._rngs]

    def own_rngs(self, states: Sequence[Tensor]) -> list[torch.Generator]:
        """Return the generators of the replicas of this process, given the states for all replicas.

        Raises:
            TrainingError: If there is another number of states, or if one is not that of a generator.
        """
        if not states:
            raise TrainingError("the training state is damaged: it has no replicas")
        if len(states) != self.total:
            is_gpu = self.model.device.type != "cpu"
            divisions = " or ".join(
                f"{count} process{'es' * (count > 1)} of {len(states) // count} thread"
                f"{'s' * (count < len(states))}"
                for count in range(1, len(states) + 1)
                if len(states) % count == 0 and (count == len(states) or not is_gpu)
            )
            raise TrainingError(
                f"the training state has {len(states)} replicas, but this trainer has {self.total}: train "
                f"with {divisions}"
            )
        own = states[self._numbers.start : self._numbers.stop]
        return [torch_rng_from_state(state, self.model.device) for state in own]

    def restore_rngs(self, rngs: Sequence[torch.Generator]) -> None:
        """Set the generator of dropout masks of each replica of this process, in order."""
        self._rngs = list(rngs)
        for replica, rng in zip(self._models, rngs, strict=True):
            replica.generator = rng

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
