"""Threads and forked processes can use a native engine."""

import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from textgen_runtime.engines.native import NativeEngine

from tests.helpers.native_engines import KERNELS, content_of, engines, generate, texts_of


def test_threads_can_share_an_engine() -> None:
    native, _ = engines(59, 32, 1, KERNELS[0])

    def work(seed: int) -> list[list[int]]:
        return generate(native, texts_of(native, 1, seed), 500)

    expected = [work(seed) for seed in range(8)]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(work, range(8))) == expected


def test_other_threads_run_during_generate() -> None:
    """Another thread runs while one call generates a long chunk."""
    native, _ = engines(59, 64, 1, KERNELS[0])
    started, ticks, finished = threading.Event(), [0], threading.Event()

    def work() -> None:
        started.set()
        generate(native, texts_of(native, 1), 200_000)
        finished.set()

    thread = threading.Thread(target=work)
    thread.start()
    started.wait()
    while not finished.is_set():
        ticks[0] += 1
    thread.join()
    # If the loop held the GIL, this thread would count only until the loop starts.
    assert ticks[0] > 100_000


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
        generate(native, texts, 20_000)
    positions = [text.copy().position for text in texts]
    pool.shutdown()
    assert [text.position for text in texts] == positions
    assert positions[2] == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="os.fork is not available")
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
