"""The measurement of many streams side by side."""

from collections.abc import Callable
from typing import Any

import numpy as np

from textgen_runtime.engines.base import Lane
from textgen_runtime.sampling.sampler import Sampler

from ._rounds import cut_short, interleave, sized_in_time
from ._spread import Ratio, Spread, ratios, spreads
from .context import Bench
from .deadline import Deadline
from .report import Section, per_second

STREAMS = (1, 4, 16, 64, 256)
NATIVE, BATCHED = "native", "onnxruntime batched"


def many_streams(bench: Bench, deadline: Deadline) -> Section:
    """Characters a second of many streams side by side, on one thread and on all."""
    rows: dict[str, dict[int, str]] = {}
    figures: dict[str, dict[str, Any]] = {}
    all_ratios: dict[str, Ratio] = {}
    all_spreads: dict[str, Spread] = {}
    notes: list[str] = []
    for place, streams in enumerate(STREAMS):
        taken = with_streams(bench, streams, deadline.share(1 / (len(STREAMS) - place)), notes)
        for name, rounds in taken.items():
            spread = Spread.of([streams / each for each in rounds])
            rows.setdefault(name, {})[streams] = per_second(1 / spread.median)
            figures.setdefault(name, {})[str(streams)] = spread.as_json()
        suffix = columns([streams])[0]
        all_spreads |= {f"{name}, {suffix}": spread for name, spread in spreads(taken).items()}
        pairs = [(f"{NATIVE}, {label}", f"{BATCHED}, {label}") for label in labels(bench).values()]
        pairs += [(f"{NATIVE}, {label}", f"{NATIVE}, {labels(bench)[1]}") for label in labels(bench).values()]
        for one, other in pairs:
            found = ratios(taken, [one], [other])
            all_ratios |= {f"{name}, {suffix}": ratio for name, ratio in found.items()}
    return Section(
        "many streams, characters a second of all together",
        columns(STREAMS),
        [(name, [cells.get(streams, "") for streams in STREAMS]) for name, cells in rows.items()],
        figures,
        ratios=all_ratios,
        spreads=all_spreads,
        notes=notes,
    )


def columns(counts: tuple[int, ...] | list[int]) -> list[str]:
    """Numbers of streams in words."""
    return [f"{streams} streams" if streams > 1 else "1 stream" for streams in counts]


def labels(bench: Bench) -> dict[int, str]:
    """Numbers of threads in words."""
    return {threads: f"{threads} thread{'s' * (threads > 1)}" for threads in sorted({1, bench.threads})}


def with_streams(bench: Bench, streams: int, deadline: Deadline, notes: list[str]) -> dict[str, list[float]]:
    """Seconds of a character of each of so many streams, by contestant, a round each.

    Args:
        bench: What is measured.
        streams: How many there are.
        deadline: When to end.
        notes: Where to say what was cut short.
    """
    seconds = bench.seconds / len(STREAMS) / 2
    found: dict[str, list[float]] = {}
    for name, make in ((NATIVE, decodes), (BATCHED, batches)):
        if name == NATIVE and NATIVE not in bench.engines:
            continue
        makers: dict[str, Callable[[], Callable[[int], Any]]] = {
            f"{name}, {label}": lambda make=make, threads=threads: make(bench, streams, threads)  # type: ignore[misc]
            for threads, label in labels(bench).items()
        }
        # The batches only after the others have ended: onnxruntime's threads spin for a while after each
        # step, on processors that others need.
        share = deadline.share(0.5) if name == NATIVE else deadline
        several = [f"{name}, {label}" for threads, label in labels(bench).items() if threads > 1]
        contestants = sized_in_time(makers, share, several_threads=several)
        taken = interleave(contestants, seconds, share, bench.processor_time)
        notes += [f"{note}, with {columns([streams])[0]}" for note in cut_short(makers, taken)]
        found |= taken
    return found


def batches(bench: Bench, streams: int, threads: int) -> Callable[[int], object]:
    """A loop written by hand, all streams in one step."""
    return bench.hand_written(threads).batch(streams)


def decodes(bench: Bench, streams: int, threads: int) -> Callable[[int], object]:
    """The native engine, all streams in one call."""
    engine = bench.model("native", threads).engine
    zeros = np.zeros(engine.vocabulary_size, np.float32)
    samplers = [Sampler(bench.temperature, 0, i) for i in range(streams)]
    # In the chunks in which texts are made, which an interrupt can wait for.
    chunk = engine.chunk_length(streams)

    def run(length: int) -> None:
        lanes = [Lane(sampler, zeros, engine.initial_state(), length) for sampler in samplers]
        while lanes:
            lanes = [
                Lane(lane.sampler, made.logits, made.state, lane.length - len(made.tokens))
                for lane, made in zip(lanes, engine.generate(lanes, chunk), strict=True)
                if made.ending is None
            ]

    return run
