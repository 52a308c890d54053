"""The section "many-streams": throughput of several streams at once."""

from collections.abc import Callable
from functools import partial
from typing import Any

from .context import BaselineLoops, BenchContext, run_streams
from .report import Section, per_second
from .rounds import Deadline, Spread, calibrate_all, deadline_notes, interleave, ratios, spreads

STREAM_COUNTS = (1, 4, 16, 64, 256)
NATIVE, BATCHED = "native", "onnxruntime batched"

# The texts of a round have at least as many tokens as a chunk of the native engine, or this number if it is
# less. Otherwise those of 256 streams would have about 15 characters, and their start would take a tenth
# of the time.
LONG_TEXT = 100


def many_streams(bench: BenchContext, deadline: Deadline) -> Section:
    """Measure the total throughput of several streams, with one thread and with all threads."""
    labels = thread_labels(bench)
    # The rows have the same order if the deadline stops the first measurement of one of them.
    names = [f"{engine}, {threads}" for engine in (NATIVE, BATCHED) for threads in labels.values()]
    cells: dict[str, dict[int, str]] = {name: {} for name in names}
    figures: dict[str, dict[str, Any]] = {name: {} for name in names}
    all_ratios: dict[str, Spread] = {}
    all_spreads: dict[str, Spread] = {}
    notes: list[str] = []
    for index, streams in enumerate(STREAM_COUNTS):
        share = deadline.share(1 / (len(STREAM_COUNTS) - index))
        seconds, stream_notes = measure_streams(bench, streams, share)
        label = stream_label(streams)
        notes += [f"{label}: {note}" for note in stream_notes]
        for name, rounds in seconds.items():
            spread = Spread.of([streams / value for value in rounds])
            cells[name][streams] = per_second(1 / spread.value)
            figures[name][str(streams)] = spread.as_json()
        all_spreads |= {f"{name}, {label}": spread for name, spread in spreads(seconds).items()}
        pairs = [(f"{NATIVE}, {threads}", f"{BATCHED}, {threads}") for threads in labels.values()]
        pairs += [(f"{NATIVE}, {threads}", f"{NATIVE}, {labels[1]}") for threads in labels.values()]
        for numerator, denominator in pairs:
            pair_ratios = ratios(seconds, [numerator], [denominator])
            all_ratios |= {f"{name}, {label}": ratio for name, ratio in pair_ratios.items()}
    return Section(
        f"many streams, total {bench.unit}s/s",
        [stream_label(streams) for streams in STREAM_COUNTS],
        [(name, [row.get(streams, "") for streams in STREAM_COUNTS]) for name, row in cells.items() if row],
        {name: row for name, row in figures.items() if row},
        ratios=all_ratios,
        spreads=all_spreads,
        notes=notes,
    )


def stream_label(streams: int) -> str:
    """Return a label such as "4 streams"."""
    return f"{streams} stream{'s' * (streams > 1)}"


def thread_labels(bench: BenchContext) -> dict[int, str]:
    """Map each measured number of threads to a label such as "2 threads"."""
    return {threads: f"{threads} thread{'s' * (threads > 1)}" for threads in sorted({1, bench.threads})}


def measure_streams(
    bench: BenchContext, streams: int, deadline: Deadline
) -> tuple[dict[str, list[float]], list[str]]:
    """Measure the candidates with a given number of streams.

    Returns:
        By candidate, the seconds per token of each stream in each round; and notes about candidates
        that the deadline stopped.
    """
    duration = bench.seconds / len(STREAM_COUNTS) / 2
    all_seconds: dict[str, list[float]] = {}
    notes: list[str] = []
    least = 1
    if NATIVE in bench.engines:
        least = min(LONG_TEXT, bench.model(NATIVE).engine.chunk_length(streams))
    for name, create in ((NATIVE, native_lanes), (BATCHED, onnxruntime_batch)):
        if name == NATIVE and NATIVE not in bench.engines:
            continue
        factories = {
            f"{name}, {label}": partial(create, bench, streams, threads)
            for threads, label in thread_labels(bench).items()
        }
        # The native engine and onnxruntime are not interleaved: onnxruntime's threads spin for a while after
        # each step and would occupy the processors.
        share = deadline.share(0.5) if name == NATIVE else deadline
        multithreaded = [f"{name}, {label}" for threads, label in thread_labels(bench).items() if threads > 1]
        candidates = calibrate_all(factories, share, least=least, multithreaded=multithreaded)
        seconds = interleave(candidates, duration, share, bench.processor_time)
        notes += deadline_notes(factories, seconds)
        all_seconds |= seconds
    return all_seconds, notes


def onnxruntime_batch(bench: BenchContext, streams: int, threads: int) -> Callable[[int], object]:
    """Return a baseline loop that computes all streams as one batch."""
    return BaselineLoops(bench.content, threads, bench.temperature).batched(streams)


def native_lanes(bench: BenchContext, streams: int, threads: int) -> Callable[[int], object]:
    """Return a function that generates all streams as lanes of the native engine."""
    model = bench.model("native", threads)
    engine, sampling = model.engine, bench.sampling(model)
    texts = [engine.new_stream(0, i) for i in range(streams)]
    for text in texts:
        text.configure(sampling)
        text.feed([0])
    return partial(run_streams, engine, texts)
