"""Work in several threads: nothing of it runs on after a failure."""

import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, NoReturn

import pytest
from textgen_runtime.engines import _side_by_side as side_by_side
from textgen_runtime.engines._side_by_side import run_side_by_side


def test_results_are_in_order() -> None:
    with ThreadPoolExecutor(3) as pool:
        assert run_side_by_side(pool, [partial(pow, number, 2) for number in range(4)]) == [0, 1, 4, 9]


def test_an_error_is_told_when_all_have_ended() -> None:
    done: list[int] = []

    def fail() -> NoReturn:
        raise ValueError("no")

    with ThreadPoolExecutor(2) as pool, pytest.raises(ValueError, match="no"):
        run_side_by_side(pool, [fail, lambda: done.append(1)])
    assert done == [1]


def test_a_second_interrupt_does_not_end_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    begun, release, ended = threading.Event(), threading.Event(), threading.Event()

    class Interrupted(threading.Event):
        """An event of which the first wait is interrupted."""

        waits = 0

        def wait(self, timeout: float | None = None) -> bool:
            Interrupted.waits += 1
            release.set()
            if Interrupted.waits == 1:
                raise KeyboardInterrupt
            return super().wait(timeout)

    def interrupt(_: Any) -> NoReturn:
        begun.wait()
        raise KeyboardInterrupt

    def work() -> None:
        begun.set()
        release.wait()
        ended.set()

    monkeypatch.setattr(side_by_side, "Event", Interrupted)
    monkeypatch.setattr(side_by_side, "wait", interrupt)
    with ThreadPoolExecutor(1) as pool:
        try:
            with pytest.raises(KeyboardInterrupt):
                run_side_by_side(pool, [work, lambda: pytest.fail("it began after the interrupt")])
            assert ended.is_set()
        finally:
            # Or the pool would wait forever for work that wrong code has left running.
            release.set()
    assert Interrupted.waits == 2
