"""Measure training in two processes of one thread against one process of two threads.

python benchmarks/distributed.py

The two processes are connected through torch.distributed, as with torchrun. Both candidates compute the same
updates. Their rounds alternate, and each figure is a median over several rounds. During a round of the one
candidate, the other one waits.
"""

import argparse
import multiprocessing
import os
import socket
import statistics
from multiprocessing.connection import Connection
from time import perf_counter

import numpy as np
import torch
from textgen_runtime.bench.report import Section, times
from textgen_train.cli._process import joined_ranks, keep_freed_memory
from textgen_train.loop.ranks import Ranks
from textgen_train.loop.trainer import Trainer
from textgen_train.presets import PRESETS
from textgen_train.recipe import Budget

VOCABULARY = 57
CHARACTERS = 500_000
PROCESSES = 2
THREADS, PROCESS = "one process, two threads", "two processes, one thread"


def make_trainer(preset: str, threads: int, ranks: Ranks) -> Trainer:
    """Return a trainer on a random text."""
    keep_freed_memory()
    torch.set_num_threads(1)
    text = np.random.default_rng(0).integers(VOCABULARY, size=CHARACTERS)
    return Trainer(
        text, VOCABULARY, PRESETS[preset], Budget(epochs=10**6), seed=0, threads=threads, ranks=ranks
    )


def serve(requests: Connection, preset: str, rank: int, size: int, port: int) -> None:
    """Train for the time of each request, in seconds, and reply with the characters/s; 0 ends the process."""
    if size > 1:
        os.environ.update(RANK=str(rank), WORLD_SIZE=str(size), LOCAL_WORLD_SIZE=str(size))
        os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    with joined_ranks() as ranks:
        trainer = make_trainer(preset, PROCESSES // size, ranks)
        ranks.begin({})
        if not ranks.is_first:
            trainer.follow()
            return
        updates = trainer.updates()
        while seconds := requests.recv():
            characters, started = 0.0, perf_counter()
            while perf_counter() - started < seconds:
                characters += next(updates).targets
            requests.send(characters / (perf_counter() - started))


def throughput(preset: str, seconds: float, rounds: int) -> dict[str, float]:
    """Return the median characters/s of both candidates."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    context = multiprocessing.get_context("spawn")
    ends: dict[str, Connection] = {}
    processes = []
    for name, size in ((THREADS, 1), (PROCESS, PROCESSES)):
        for rank in range(size):
            here, there = context.Pipe()
            processes.append(context.Process(target=serve, args=(there, preset, rank, size, port)))
            processes[-1].start()
            ends.setdefault(name, here)
    measured: dict[str, list[float]] = {name: [] for name in ends}
    for _ in range(rounds + 1):
        for name, end in ends.items():
            end.send(seconds)
            measured[name].append(end.recv())
    for end in ends.values():
        end.send(0.0)
    for process in processes:
        process.join()
    # The first round warms up.
    return {name: statistics.median(values[1:]) for name, values in measured.items()}


def main() -> None:
    """Print a table."""
    command = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    command.add_argument("--seconds", type=float, default=3.0, help="duration of a round (default: 3.0)")
    command.add_argument("--rounds", type=int, default=7, help="number of rounds (default: 7)")
    command.add_argument(
        "--presets", nargs="+", choices=PRESETS, default=["small", "large"], help="default: small large"
    )
    arguments = command.parse_args()
    print(f"torch {torch.__version__}, {torch.backends.cpu.get_cpu_capability()}")
    rows = []
    for preset in arguments.presets:
        measured = throughput(preset, arguments.seconds, arguments.rounds)
        ratio = times(measured[PROCESS] / measured[THREADS])
        rows.append((preset, [f"{value:,.0f}" for value in measured.values()] + [ratio]))
    print(Section("training, characters/s", [THREADS, PROCESS, "processes / threads"], rows))


if __name__ == "__main__":
    main()
