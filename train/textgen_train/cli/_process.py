"""The process of a command of training: its packages, device, signals and errors, and the other processes."""

import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec

from textgen_runtime.cli.command import run_command
from textgen_runtime.errors import Name, TextgenError, install_command
from textgen_runtime.interrupts import DeferredInterrupts

from textgen_train.errors import TrainingError
from textgen_train.loop.ranks import SINGLE, Ranks
from textgen_train.options import PROG, RunOptions

from ._arguments import option

# The packages of the train extra, by their import names.
TRAIN_EXTRA = ("torch", "onnx", "safetensors", "filelock", "tqdm")

# Parameters of mallopt, from malloc.h of glibc.
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4

# A kernel of torch takes up to a megabyte. A continuous text needs about twenty.
MAX_CACHED_KERNELS = 64

# Stands for the number of each machine in a command for several machines.
MACHINE_NUMBER = "NUMBER"

# Windows has no SIGHUP. Only Windows has SIGBREAK, of Ctrl-Break, which other programs can send, too.
ENDING_SIGNALS = ("SIGTERM", "SIGHUP", "SIGBREAK")


def run_training_command(command: Callable[[], int]) -> int:
    """Run ``textgen-train`` as ``run_command`` does. Its errors spell parameters as options."""

    def spelling_options() -> int:
        try:
            return command()
        except TextgenError as error:
            raise type(error)(error.spelled(option)) from error

    return run_command(PROG, spelling_options)


def keep_freed_memory() -> None:
    """Let this process keep the memory that it frees, for its next allocations. Only glibc needs this.

    Each update frees tensors of many megabytes, and the next one allocates them again. By default, glibc may
    return such memory to the system, which clears each page when it is used again: see docs/results.md. With
    these values, glibc takes memory only from its heaps and never returns the end of one: see "Malloc Tunable
    Parameters" in its manual. If it refuses a value, the run is only slower.
    """
    if not sys.platform.startswith("linux"):
        return
    libc = ctypes.CDLL(None)
    if hasattr(libc, "gnu_get_libc_version"):
        libc.mallopt(M_MMAP_MAX, 0)
        # Never.
        libc.mallopt(M_TRIM_THRESHOLD, -1)


def limit_kernel_caches() -> None:
    """Let torch keep the kernels of few shapes of batches. Call it before the first update.

    torch and oneDNN, its library for processors, make kernels for each shape of a batch. By default, each
    keeps 1,024 of them. Batches of records have hundreds of shapes: a run of the preset ``small`` on tunes
    took 950 MB after 1,000 updates, and grew further. With this limit it takes 420 MB, at the same speed. A
    value that the user has set stays.
    """
    for name in ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY"):
        os.environ.setdefault(name, str(MAX_CACHED_KERNELS))


def check_packages(subject: str | Name, names: tuple[str, ...] = TRAIN_EXTRA, extra: str = "train") -> None:
    """Check that these packages of an extra are installed.

    Raises:
        TrainingError: If one is missing. The message begins with the subject, which requires them.
    """
    if missing := [name for name in names if find_spec(name) is None]:
        raise TrainingError(subject, f" requires {', '.join(missing)}: {install_command(extra)}")


def check_tensorboard(options: RunOptions) -> None:
    """Check that the tensorboard extra is installed if a run needs it."""
    if options.tensorboard:
        check_packages(Name("tensorboard"), ("tensorboard",), "tensorboard")


def check_device(name: str, ranks: Ranks) -> None:
    """Check that this process can have a device, before it reads a text.

    Importing torch takes seconds. Therefore a choice that cannot fail is not checked.
    """
    if name == "cpu" or (name == "auto" and ranks.size == 1):
        return
    from textgen_train.models.device import choose_device

    choose_device(name, ranks.local_rank)


def deferred_interrupts() -> DeferredInterrupts:
    """Return a context that defers Ctrl-C and the signals that end a process until the run checks for them.

    An interrupt never stops an update or an evaluation halfway: the run checks for it only after them.
    """
    return DeferredInterrupts(*(getattr(signal, name) for name in ENDING_SIGNALS if hasattr(signal, name)))


@contextlib.contextmanager
def joined_ranks() -> Iterator[Ranks]:
    """Return a context with the processes of this run. At its end, the first process ends the others.

    torchrun starts several processes, and gives them their numbers in environment variables.
    """
    if "RANK" not in os.environ or os.environ.get("WORLD_SIZE", "1") == "1":
        yield SINGLE
        return
    from textgen_train.loop.distributed import DistributedRanks

    ranks = DistributedRanks.from_environment(os.environ)
    try:
        yield ranks
    except TextgenError as error:
        ranks.fail(error)
        raise
    finally:
        ranks.close()


def launcher(ranks: Ranks) -> list[str]:
    """Return the words that start the command in these processes, without its arguments.

    The report and the message of a run that ended early show them. With several machines, ``MACHINE_NUMBER``
    stands for the number of each machine. The number of processes is that of this machine.
    """
    if ranks.size == 1:
        return [PROG]
    together = ["--standalone"]
    # torchrun sets the number of machines, and the address of the first one.
    machines = int(os.environ.get("GROUP_WORLD_SIZE", ranks.size // ranks.local_size))
    if machines > 1:
        together = ["--nnodes", str(machines), "--node-rank", MACHINE_NUMBER]
        together += ["--master-addr", os.environ["MASTER_ADDR"], "--master-port", os.environ["MASTER_PORT"]]
    return ["torchrun", *together, "--nproc-per-node", str(ranks.local_size), "-m", "textgen_train"]
