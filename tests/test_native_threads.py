"""Threads share a native engine and run beside it, and a forked process goes on with it."""

import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from textgen_runtime.engines.base import Measurements
from textgen_runtime.engines.native import NativeEngine

from .native_engines import KERNELS, content_of, engines, generate, lanes, samplers


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
