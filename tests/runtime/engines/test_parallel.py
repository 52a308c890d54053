"""Tasks run in parallel, and all of them have ended when an error is raised."""

import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, NoReturn

import pytest
from textgen_runtime.engines import _parallel
from textgen_runtime.engines._parallel import run_parallel


def test_results_are_in_order() -> None:
    with ThreadPoolExecutor(3) as pool:
        assert run_parallel(pool, [partial(pow, number, 2) for number in range(4)]) == [0, 1, 4, 9]


def test_an_error_is_raised_after_all_tasks_have_ended() -> None:
    results: list[int] = []

    def fail() -> NoReturn:
        raise ValueError("no")

    with ThreadPoolExecutor(2) as pool, pytest.raises(ValueError, match="no"):
        run_parallel(pool, [fail, lambda: results.append(1)])
    assert results == [1]


def test_a_second_interrupt_does_not_end_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
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

    def interrupt(_: Any) -> NoReturn:
        started.wait()
        raise KeyboardInterrupt

    def work() -> None:
        started.set()
        release.wait()
        ended.set()

    monkeypatch.setattr(_parallel, "Event", Interrupted)
    monkeypatch.setattr(_parallel, "wait", interrupt)
    with ThreadPoolExecutor(1) as pool:
        try:
            with pytest.raises(KeyboardInterrupt):
                run_parallel(pool, [work, lambda: pytest.fail("the task started after the interrupt")])
            assert ended.is_set()
        finally:
            # Otherwise a failed test would wait forever for the running task.
            release.set()
    assert Interrupted.waits == 2
