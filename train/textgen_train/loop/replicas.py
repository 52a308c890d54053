"""Training on several processors: replicas of a network, each with some of the lanes of a batch.

Threads inside torch's operations meet at a barrier in each of the thousand operations of an update. Where
another program has one of their processors, all others spin until it comes back: with two busy programs
on two cores, training was eighteen times slower than on one thread. Replicas meet once an update and sleep
while they wait. An update takes as long as its slowest replica.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager

import torch
from textgen_runtime.system.processors import available_processors
from torch import Tensor

from textgen_train.models.lstm import CharLSTM

# A product of fewer rows takes hardly less time.
MIN_LANES = 8

# Separates the seeds of replicas: seeds that follow each other would give replica 1 of one run the masks of
# replica 0 of another.
SEED_STRIDE = 0x9E3779B97F4A7C15


class Replicas:
    """Networks that share their parameters, each with its share of the lanes and a thread of its own.

    The shares depend on the lanes and the threads alone, never on what else the machine does, and each
    replica draws its dropout masks from a generator of its own: the same seed and number of
    threads give the same gradients to the bit.

    Args:
        model: The first replica; the others are copies of it with the same parameters.
        lanes: Size of a batch.
        threads: How many replicas to make at most; each has ``MIN_LANES`` lanes or more.
        seed: Of the dropout masks.

    Attributes:
        model: The first replica.
    """

    def __init__(self, model: CharLSTM, lanes: int, threads: int, seed: int) -> None:
        count = max(1, min(threads, lanes // MIN_LANES))
        self.model = model
        # Modules of their own, since `functional_call` changes a module while it runs.
        self._models = [model, *(model.clone(share_parameters=True) for _ in range(count - 1))]
        self.restore_rngs(
            [torch.Generator().manual_seed((seed + i * SEED_STRIDE) % 2**64) for i in range(count)]
        )
        self._parameters = [weight for weight in model.parameters() if weight.requires_grad]
        # The caller's thread is the first replica's.
        self._workers = (
            # torch keeps the number of threads of an operation for each thread apart.
            ThreadPoolExecutor(count - 1, "textgen-replica", initializer=torch.set_num_threads, initargs=(1,))
            if count > 1
            else None
        )

    def __len__(self) -> int:
        return len(self._models)

    def rng_states(self) -> list[Tensor]:
        """The state of each replica's generator of dropout masks; uint8."""
        return [rng.get_state() for rng in self._rngs]

    def restore_rngs(self, rngs: Sequence[torch.Generator]) -> None:
        """Draw each replica's dropout masks from the generator at its place."""
        self._rngs = list(rngs)
        for replica, rng in zip(self._models, rngs, strict=True):
            replica.generator = rng

    def shares(self, lanes: int) -> list[slice]:
        """The lanes of each replica, for a batch of this size."""
        count = len(self)
        return [slice(lanes * i // count, lanes * (i + 1) // count) for i in range(count)]

    def backward(self, loss: Callable[[int, CharLSTM], Tensor]) -> float:
        """Set the gradient of each parameter to that of the sum of all replicas' losses.

        Args:
            loss: Called once for each replica, with its number and its network; returns a scalar. The first
                replica runs on the caller's thread, each other on one of its own.

        Returns:
            The sum of the losses.
        """

        def gradients(i: int) -> tuple[float, tuple[Tensor, ...]]:
            value = loss(i, self._models[i])
            return value.item(), torch.autograd.grad(value, self._parameters)

        first, *others = self._on_every_thread(gradients)
        total = first[0] + sum(value for value, _ in others)
        for place, (weight, gradient) in enumerate(zip(self._parameters, first[1], strict=True)):
            # In one order, so that the sum has the same last bit every time.
            for _, gradients_of_another in others:
                gradient += gradients_of_another[place]  # noqa: PLW2901 (in place)
            weight.grad = gradient
        return total

    def _on_every_thread(
        self, call: Callable[[int], tuple[float, tuple[Tensor, ...]]]
    ) -> list[tuple[float, tuple[Tensor, ...]]]:
        if self._workers is None:
            return [call(0)]
        futures: list[Future[tuple[float, tuple[Tensor, ...]]]] = []
        try:
            futures += [self._workers.submit(call, i) for i in range(1, len(self))]
            return [call(0), *(future.result() for future in futures)]
        finally:
            # After an interrupt too: nobody may use the networks while a replica still does.
            wait(futures)


def threads_or_all(threads: int | None) -> int:
    """How many threads to train on; None: one for each processor that this process may use.

    Raises:
        ValueError: If it is below 1.
    """
    if threads is None:
        return available_processors()
    if threads < 1:
        raise ValueError(f"threads must be 1 or more, not {threads}")
    return threads


@contextmanager
def one_thread_an_operation() -> Iterator[None]:
    """Keep torch's operations from using threads of their own meanwhile."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
