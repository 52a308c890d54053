"""Work that threads do side by side, of which nothing is left running after a failure."""

from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Executor, wait
from threading import Event, Lock
from typing import TypeVar

Result = TypeVar("Result")


def run_side_by_side(pool: Executor, work: Sequence[Callable[[], Result]]) -> list[Result]:
    """Run each piece of work in a thread of the pool.

    When it returns or raises, no piece runs and none will. So the caller can put back what the pieces change.
    The pool alone does not promise that: a piece whose thread cannot be started stays in its queue.

    Args:
        pool: Whose threads run the work.
        work: The pieces.

    Returns:
        Their results, in order.

    Raises:
        BaseException: What a piece, the start of a thread or an interrupt raised. What has not begun then
            never does, and an interrupt of the wait for the rest does not end that wait.
    """
    lock = Lock()
    begun: list[Event] = []
    stopped = Event()

    def run(number: int) -> Result:
        with lock:
            if stopped.is_set():
                raise CancelledError
            ended = Event()
            begun.append(ended)
        try:
            return work[number]()
        finally:
            ended.set()

    try:
        futures = [pool.submit(run, number) for number in range(len(work))]
        wait(futures)
    except BaseException:
        _stop(lock, begun, stopped)
        raise
    return [future.result() for future in futures]


def _stop(lock: Lock, begun: list[Event], stopped: Event) -> None:
    """Let nothing begin any more, and wait for what has begun."""
    waiting = True
    while waiting:
        try:
            with lock:
                stopped.set()
            for ended in begun:
                ended.wait()
            waiting = False
        except KeyboardInterrupt:
            # The first one is raised when all have ended.
            continue
