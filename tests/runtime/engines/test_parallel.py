"""Tasks run in parallel, and all of them have ended when an error is raised."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, NoReturn

import pytest
from textgen_runtime.engines import _parallel
from textgen_runtime.engines._parallel import run_parallel


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
