"""Run tasks in parallel. After an error, no task is running and none will start."""

from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Executor, wait
from threading import Event, Lock
from typing import TypeVar

Result = TypeVar("Result")


def run_parallel(pool: Executor, tasks: Sequence[Callable[[], Result]]) -> list[Result]:
    """Run the first task in this thread, the others in the threads of a pool. Return their results in order.

    When this returns or raises, no task is running and none will start. The caller can then restore
    everything that the tasks change. An executor alone does not guarantee this: if it cannot start a thread,
    the submitted task stays in its queue.

    Args:
        pool: The executor.
        tasks: 1 or more tasks.

    Raises:
        BaseException: The first exception of the first task, of the start of a thread, or of an interrupt.
            Tasks that have not started are then cancelled, and running ones are waited for. An interrupt does
            not end that wait, but is raised after it. Without such an exception, that of another task.
    """
    lock = Lock()
    started: list[Event] = []
    stopped = Event()

    def run(index: int) -> Result:
        with lock:
            if stopped.is_set():
                raise CancelledError
            ended = Event()
            started.append(ended)
        try:
            return tasks[index]()
        finally:
            ended.set()

    try:
        futures = [pool.submit(run, index) for index in range(1, len(tasks))]
        # A thread of the pool takes a while to wake up, so this one works, too.
        first = tasks[0]()
        wait(futures)
    except BaseException:
        _stop(lock, started, stopped)
        raise
    return [first, *(future.result() for future in futures)]


def _stop(lock: Lock, started: list[Event], stopped: Event) -> None:
    """Let no further task start, and wait for the tasks that have started."""
    waiting, interrupt = True, None
    while waiting:
        try:
            with lock:
                stopped.set()
            for ended in started:
                ended.wait()
            waiting = False
        except KeyboardInterrupt as error:
            interrupt = error
    if interrupt:
        raise interrupt
