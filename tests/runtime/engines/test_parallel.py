"""Tasks run in parallel and end before an error is raised; threads and processes can use a native engine."""

import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, NoReturn

import pytest
from textgen_runtime.engines import _parallel
from textgen_runtime.engines._parallel import run_parallel
from textgen_runtime.engines.base import MAX_STEPS
from textgen_runtime.engines.native import NativeEngine

from tests.helpers.native_engines import KERNELS, content_of, engines, generate, texts_of
from tests.helpers.programs import posix_only


def test_results_are_in_order() -> None:
    with ThreadPoolExecutor(3) as pool:
        assert run_parallel(pool, [partial(pow, number, 2) for number in range(4)]) == [0, 1, 4, 9]


def test_the_first_task_runs_in_this_thread() -> None:
    with ThreadPoolExecutor(3) as pool:
        here, *others = run_parallel(pool, [threading.get_ident] * 3)
    assert here == threading.get_ident()
    assert here not in others


@pytest.mark.parametrize("in_first_task", [False, True])
def test_an_error_is_raised_after_all_tasks_have_ended(in_first_task: bool) -> None:
    started, failing, results = threading.Event(), threading.Event(), []

    def fail() -> NoReturn:
        started.wait()
        failing.set()
        raise ValueError("no")

    def work() -> None:
        started.set()
        failing.wait()
        results.append(1)

    tasks: list[Callable[[], None]] = [fail, work] if in_first_task else [work, fail]
    with ThreadPoolExecutor(2) as pool:
        with pytest.raises(ValueError, match="no"):
            run_parallel(pool, tasks)
        assert results == [1]


@pytest.mark.parametrize("first", ["done", "interrupted", "failed"])
def test_an_interrupt_of_the_wait_does_not_end_it_and_is_raised_after_it(
    monkeypatch: pytest.MonkeyPatch, first: str
) -> None:
    started, release, ended = threading.Event(), threading.Event(), threading.Event()

    class Interrupted(threading.Event):
        """An event whose first wait is interrupted."""

        waits = 0

        def wait(self, timeout: float | None = None) -> bool:
            Interrupted.waits += 1
            release.set()
            if Interrupted.waits == 1:
                raise KeyboardInterrupt
            return super().wait(timeout)

    def interrupt(*_: Any) -> NoReturn:
        started.wait()
        raise KeyboardInterrupt

    def fail() -> NoReturn:
        started.wait()
        raise ValueError

    def work() -> None:
        started.set()
        release.wait()
        ended.set()

    firsts: dict[str, Callable[[], None]] = {"interrupted": interrupt, "failed": fail, "done": lambda: None}
    monkeypatch.setattr(_parallel, "Event", Interrupted)
    monkeypatch.setattr(_parallel, "wait", interrupt)
    with ThreadPoolExecutor(1) as pool:
        try:
            with pytest.raises(KeyboardInterrupt):
                run_parallel(
                    pool, [firsts[first], work, lambda: pytest.fail("the task started after the interrupt")]
                )
            assert ended.is_set()
        finally:
            # Otherwise a failed test would wait forever for the running task.
            release.set()
    assert Interrupted.waits == 2


def ticks_during_generate() -> int:
    """Count while another thread generates a long chunk in one call."""
    native, _ = engines(59, 256, 1, KERNELS[0])
    started, ticks, finished = threading.Event(), 0, threading.Event()

    def work() -> None:
        started.set()
        generate(native, texts_of(native, 1), MAX_STEPS)
        finished.set()

    thread = threading.Thread(target=work)
    thread.start()
    started.wait()
    while not finished.is_set():
        ticks += 1
    thread.join()
    return ticks


def test_other_threads_run_during_generate() -> None:
    """If the loop held the GIL, a thread would count only until the loop starts.

    On a busy machine, a thread may not run during one call.
    """
    assert any(ticks_during_generate() > 100_000 for _ in range(10))


class OneThread(ThreadPoolExecutor):
    """A pool that cannot start a second thread, but keeps the submitted task in its queue."""

    submitted = 0

    def submit(self, *args: Any, **kwargs: Any) -> Any:
        future = super().submit(*args, **kwargs)
        self.submitted += 1
        if self.submitted > 1:
            raise RuntimeError("can't start new thread")
        return future


def test_no_task_runs_after_the_start_of_a_thread_fails() -> None:
    """The texts no longer advance, and are free."""
    native = NativeEngine(content_of(59, 64), threads=3)
    pool = OneThread(1)
    native._pools[os.getpid()] = pool
    texts = texts_of(native, 3)
    with pytest.raises(RuntimeError, match="can't start new thread"):
        generate(native, texts, MAX_STEPS)
    positions = [text.copy().drawn for text in texts]
    pool.shutdown()
    assert [text.drawn for text in texts] == positions
    assert positions[2] == 0


@posix_only
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_forked_process_starts_new_threads() -> None:
    native = NativeEngine(content_of(59, 16), threads=2)
    expected = generate(native, texts_of(native, 2), 9)
    child = os.fork()
    if not child:
        # The child must not continue the test run. The alarm ends a child that hangs.
        signal.alarm(60)
        try:
            os._exit(0 if generate(native, texts_of(native, 2), 9) == expected else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
