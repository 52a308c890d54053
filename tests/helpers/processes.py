"""Processes that train: a single command, or several that train together on this machine, without torchrun.

The processes are forks of a server that has imported torch once. Therefore they start in milliseconds.
"""

import contextlib
import multiprocessing
import os
import pickle
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TextIO

import pytest

if TYPE_CHECKING:
    from multiprocessing.context import ForkServerContext

TIMEOUT = 120.0


def fork_context() -> "ForkServerContext":
    """Return a context whose processes are forks of the server. On Windows, which has none, skip the test."""
    if sys.platform == "win32":
        pytest.skip("Windows has no forks")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["textgen_train.cli", "textgen_train.page", "textgen_train.learner_torch"])
    return context


class ForkedCommand:
    """A command that runs in another process, with pipes. The end of the context kills the process.

    Args:
        main: The function of the command.
        arguments: Its arguments.
        folder: The working directory.

    Attributes:
        out: Standard output.
        err: Standard error.
        pid: The number of the process.
    """

    def __init__(self, main: Callable[[list[str]], int], arguments: list[str], folder: Path) -> None:
        context = fork_context()
        pipes = [context.Pipe(duplex=False) for _ in range(2)]
        writers = [writer for _, writer in pipes]
        self._process = context.Process(target=_run_command, args=(main, arguments, folder, *writers))
        self._process.start()
        assert self._process.pid is not None
        self.pid = self._process.pid
        for writer in writers:
            writer.close()
        self.out, self.err = (
            open(os.dup(reader.fileno()), encoding="utf-8")  # noqa: PTH123, SIM115 (a descriptor)
            for reader, _ in pipes
        )
        for reader, _ in pipes:
            reader.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.join()
        for stream in (self.out, self.err):
            stream.close()

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def wait(self, timeout: float = TIMEOUT) -> int:
        """Return the exit code. Raise TimeoutError if the process still runs after this many seconds."""
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise TimeoutError(f"process {self.pid} still runs after {timeout} s")
        return self._process.exitcode


def _run_command(
    main: Callable[[list[str]], int], arguments: list[str], folder: Path, out: Connection, err: Connection
) -> None:
    os.chdir(folder)
    # If the tests run in the background, the signals may be ignored, and other processes inherit this.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    sys.stdout, sys.stderr = _standard_stream(out, 1), _standard_stream(err, 2)
    sys.exit(main(arguments))


def _standard_stream(connection: Connection, number: int) -> TextIO:
    os.dup2(connection.fileno(), number)
    connection.close()
    return open(number, "w", encoding="utf-8", closefd=False)


def run_processes(target: Callable[..., Any], *arguments: Any, size: int = 2) -> list[Any]:
    """Call a function in several processes, whose environment is that of torchrun.

    Args:
        target: A function of a module. It is called with the number of the process and the arguments.
        *arguments: Arguments that can be pickled.
        size: Number of processes.

    Returns:
        The result of each process. None if it ended without one.
    """
    context = fork_context()
    with socket.socket() as holder:
        # No other program gets the port of a socket that is bound. As it does not listen, and has this option
        # as the server of torch, that one can listen there.
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 0))
        port = holder.getsockname()[1]
        ends, processes = [], []
        for rank in range(size):
            receiver, sender = context.Pipe(duplex=False)
            process = context.Process(
                target=_call, args=(sender, rank, size, port, pickle.dumps((target, arguments))), daemon=True
            )
            process.start()
            sender.close()
            ends.append(receiver)
            processes.append(process)
        results = []
        for receiver, process in zip(ends, processes, strict=True):
            result: Any = None
            with contextlib.suppress(EOFError):
                assert receiver.poll(TIMEOUT), "a process does not end"
                result = pickle.loads(receiver.recv_bytes())  # noqa: S301 (from this module)
            process.join(TIMEOUT)
            assert not isinstance(result, _Failure), result.text
            results.append(result)
    return results


class _Failure:
    def __init__(self, text: str) -> None:
        self.text = text


def _call(sender: Connection, rank: int, size: int, port: int, call: bytes) -> None:
    os.environ.update(
        RANK=str(rank),
        WORLD_SIZE=str(size),
        LOCAL_RANK=str(rank),
        LOCAL_WORLD_SIZE=str(size),
        MASTER_ADDR="127.0.0.1",
        MASTER_PORT=str(port),
    )
    try:
        target, arguments = pickle.loads(call)  # noqa: S301 (from this module)
        result = target(rank, *arguments)
    except Exception:  # noqa: BLE001 (the test reports it)
        result = _Failure(f"process {rank}: {traceback.format_exc()}")
    # As bytes, because torch would share the memory of tensors, which ends with the process.
    sender.send_bytes(pickle.dumps(result))
