"""Threads and processes can use a native engine."""

import os
import signal
import threading
from typing import Any

import pytest
from textgen_runtime import _core, engine
from textgen_runtime._core import MAX_STEPS
from textgen_runtime.engine import NativeEngine

from tests.helpers.native_engines import KERNELS, content_of, engines, generate, texts_of
from tests.helpers.programs import posix_only


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


def test_no_thread_has_more_lanes_than_that_of_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    """So the server can measure a chunk by the time of its own thread."""
    native, shares = NativeEngine(content_of(59, 16), threads=3), list[tuple[bool, int]]()

    def record(*arguments: Any) -> Any:
        shares.append((threading.current_thread() is threading.main_thread(), len(arguments[0])))
        return _core.generate(*arguments)

    monkeypatch.setattr(engine, "generate", record)
    for lanes in range(1, 9):
        shares.clear()
        generate(native, texts_of(native, lanes), 2)
        sizes = [size for _, size in shares]
        assert (sum(sizes), max(sizes)) == (lanes, dict(shares)[True])


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
