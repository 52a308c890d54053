"""Data-parallel training with replicas of a network.

Each replica has its own thread, and computes the gradient for a part of the batch's lanes.

The alternative is multithreading inside torch's operations. Its threads synchronize in each of the thousand
operations of an update. If another program occupies a processor, all other threads spin until that processor
is free. With two busy programs on two cores, training with torch's two threads was 18 times slower than with
one. Replicas synchronize once per update, and sleep while they wait. An update takes as long as its slowest
replica.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager

import torch
from textgen_runtime.system.processors import available_processors
from torch import Tensor

from textgen_train.models.lstm import CharLSTM

# Minimum number of lanes per replica. A matrix product with fewer rows takes about the same time.
MIN_LANES = 8

# Distance between the seeds of replicas. With consecutive seeds, replica 1 of a run would have the same masks
# as replica 0 of the run with the next seed.
SEED_STRIDE = 0x9E3779B97F4A7C15


class Replicas:
    """Networks with shared parameters, each with its own lanes, thread and generator of dropout masks.

    The same seed and number of threads give the same gradients to the bit. The division of the lanes depends
    only on the numbers of lanes and threads, not on the load of the machine.

    Args:
        model: The first replica. The others are copies with the same parameters.
        lanes: Number of lanes of a batch.
        threads: Maximum number of replicas. If there are several replicas, each has at least ``MIN_LANES``
            lanes.
        seed: Seed of the dropout masks.

    Attributes:
        model: The first replica.
    """

    def __init__(self, model: CharLSTM, lanes: int, threads: int, seed: int) -> None:
        count = max(1, min(threads, lanes // MIN_LANES))
        self.model = model
        # Separate modules, because `functional_call` modifies a module while it runs.
        self._models = [model, *(model.clone(share_parameters=True) for _ in range(count - 1))]
        self.restore_rngs(
            [torch.Generator().manual_seed((seed + i * SEED_STRIDE) % 2**64) for i in range(count)]
        )
        self._parameters = [weight for weight in model.parameters() if weight.requires_grad]
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

    def restore_rngs(self, rngs: Sequence[torch.Generator]) -> None:
        """Set the generator of dropout masks of each replica, in order."""
        self._rngs = list(rngs)
        for replica, rng in zip(self._models, rngs, strict=True):
            replica.generator = rng

    def lane_slices(self, lanes: int) -> list[slice]:
        """Return the lanes of each replica, for a batch of ``lanes`` lanes."""
        count = len(self)
        return [slice(lanes * i // count, lanes * (i + 1) // count) for i in range(count)]

    def backward(self, loss: Callable[[int, CharLSTM], Tensor]) -> float:
        """Compute the gradient of the sum of the replicas' losses and store it in the parameters.

        Args:
            loss: A function that is called once per replica, with the index and the network of the replica,
                and returns a scalar. It runs on the caller's thread for the first replica, and on a thread of
                its own for each of the others.

        Returns:
            The sum of the losses.
        """

        def gradients(i: int) -> tuple[float, tuple[Tensor, ...]]:
            value = loss(i, self._models[i])
            return value.item(), torch.autograd.grad(value, self._parameters)

        first, *others = self._run_on_all_threads(gradients)
        total = first[0] + sum(value for value, _ in others)
        for i, (weight, gradient) in enumerate(zip(self._parameters, first[1], strict=True)):
            # Add in a fixed order, so that the sum is reproducible to the bit.
            for _, replica_gradients in others:
                gradient += replica_gradients[i]  # noqa: PLW2901 (in place)
            weight.grad = gradient
        return total

    def _run_on_all_threads(
        self, call: Callable[[int], tuple[float, tuple[Tensor, ...]]]
    ) -> list[tuple[float, tuple[Tensor, ...]]]:
        if self._workers is None:
            return [call(0)]
        futures: list[Future[tuple[float, tuple[Tensor, ...]]]] = []
        try:
            futures += [self._workers.submit(call, i) for i in range(1, len(self))]
            return [call(0), *(future.result() for future in futures)]
        finally:
            # Also wait after an interrupt: the caller must not use a network while a replica still computes.
            wait(futures)


def resolve_thread_count(threads: int | None) -> int:
    """Return the number of threads to train with; None means one per available processor.

    Raises:
        ValueError: If it is below 1.
    """
    if threads is None:
        return available_processors()
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
