"""Threads share a native engine and run beside it, and a forked process goes on with it."""

import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from textgen_runtime.engines.base import Measurements
from textgen_runtime.engines.native import NativeEngine

from tests.helpers.native_engines import KERNELS, content_of, engines, generate, lanes, samplers


def test_threads_share_an_engine() -> None:
    native, _ = engines(59, 32, 1, KERNELS[0])

    def work(seed: int) -> list[list[int]]:
        return generate(native, samplers(1, seed=seed), 500)

    alone = [work(seed) for seed in range(8)]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(work, range(8))) == alone


def test_generating_lets_other_threads_run() -> None:
    """A thread that waits to be let in gets in while another one generates a single long chunk."""
    native, _ = engines(59, 64, 1, KERNELS[0])
    started, ticks, finished = threading.Event(), [0], threading.Event()

    def work() -> None:
        started.set()
        generate(native, samplers(1), 200_000)
        finished.set()

    thread = threading.Thread(target=work)
    thread.start()
    started.wait()
    while not finished.is_set():
        ticks[0] += 1
    thread.join()
    # With the GIL held throughout, only the first few would fit before the loop takes it.
    assert ticks[0] > 100_000


class OneThread(ThreadPoolExecutor):
    """A pool of one thread: a second one cannot be started, though its work is in the queue then."""

    submitted = 0

    def submit(self, *args: Any, **kwargs: Any) -> Any:
        future = super().submit(*args, **kwargs)
        self.submitted += 1
        if self.submitted > 1:
            raise RuntimeError("can't start new thread")
        return future


def test_nothing_runs_on_after_a_thread_that_cannot_be_started() -> None:
    """The samplers stand still then, so that the caller can put them back and try again."""
    native = NativeEngine(content_of(59, 64), threads=2)
    pool = OneThread(1)
    native._pools[os.getpid()] = pool
    given = samplers(2)
    with pytest.raises(RuntimeError, match="can't start new thread"):
        generate(native, given, 20_000)
    positions = [sampler.position for sampler in given]
    pool.shutdown()
    assert [sampler.position for sampler in given] == positions
    assert positions[1] == 0


def test_lanes_are_checked_before_any_thread_draws() -> None:
    native = NativeEngine(content_of(59, 16), threads=2)
    first, second = lanes(native, samplers(2), 5)
    for given in ([first, second._replace(sampler=first.sampler)], [first, second._replace(length=0)]):
        with pytest.raises(ValueError, match=r"another sampler|1 or more"):
            native.generate(given, 3)
        assert first.sampler.position == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_forked_process_has_threads_of_its_own() -> None:
    native = NativeEngine(content_of(59, 16), threads=2)
    expected = generate(native, samplers(2), 9)
    child = os.fork()
    if not child:
        # Nothing of the test run's may go on in here; a child that waits forever is ended by the alarm.
        signal.alarm(60)
        try:
            os._exit(0 if generate(native, samplers(2), 9) == expected else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_forked_process_goes_on_while_a_thread_made_text() -> None:
    """From where the text stood before what the thread was making."""
    native = NativeEngine(content_of(59, 128, scale=0.1))
    sampler, generating = samplers(1), threading.Event()

    class Watched(Measurements):
        def __getattribute__(self, name: str) -> Any:
            # It is asked for just before the sampler's lock is taken.
            if name == "latencies":
                generating.set()
            return super().__getattribute__(name)

    thread = threading.Thread(
        target=native.generate, args=(lanes(native, sampler, 200_000), 200_000, Watched(latencies=True))
    )
    thread.start()
    generating.wait()
    child = os.fork()
    if not child:
        signal.alarm(60)
        try:
            os._exit(generate(native, sampler, 20) != generate(native, samplers(1), 20))
        finally:
            os._exit(2)
    thread.join()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
