"""The latency of single characters."""

from time import perf_counter, thread_time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textgen_runtime.engines.base import Measurements

from ._spread import Ratio, Spread
from .context import Bench
from .deadline import Deadline
from .report import Section, microseconds

PERCENTILES = (50, 90, 99, 99.9, 100)
MIDDLE, TAIL = PERCENTILES.index(50), PERCENTILES.index(99)

# Characters before the first that counts, in parts, so that a slow engine can be stopped between them.
WARM_UP, WARM_UP_PART = 2000, 200

# Characters of a round. A call costs a little more than the characters that it makes, so that shorter rounds
# would add to the slowest percent.
ROUND = 2000

NANOSECOND = 1e-9
BINS = 200


def latency(bench: Bench, deadline: Deadline) -> Section:
    """One character at a time: percentiles, and model and sampler apart."""
    rows, figures, notes = [], dict[str, Any](), []
    ratios, spreads = {}, {}
    for place, engine in enumerate(bench.engines):
        share = deadline.share(1 / (len(bench.engines) - place))
        measured, rounds = measure(bench, engine, share)
        if not rounds:
            notes.append(f"not measured, for want of time: {engine}")
            continue
        seconds = np.concatenate(rounds) * NANOSECOND
        if seconds.sum() < bench.seconds:
            notes.append(f"cut short, from {bench.seconds:.2g} s to {seconds.sum():.2g} s: {engine}")
        points = np.percentile(seconds, PERCENTILES)
        model = measured.model_seconds / measured.tokens
        sampler = measured.sampler_seconds / measured.tokens
        rows.append((engine, [microseconds(each) for each in (*points, model, sampler)]))
        middles = [float(np.median(each)) * NANOSECOND for each in rounds]
        tails = [float(np.percentile(each, PERCENTILES[TAIL])) * NANOSECOND for each in rounds]
        spreads[engine] = Spread.of(middles)
        single = Ratio.of(tails, middles)
        # The figure is that of all characters, as the table has it; its spread is that of the rounds.
        overall = float(points[TAIL] / points[MIDDLE])
        ratios[f"{engine} p99 / p50"] = Ratio(overall, single.lower, single.upper, single.rounds)
        figures[engine] = {
            "percentiles": dict(zip(map(str, PERCENTILES), points.tolist(), strict=True)),
            "p50 of a round": spreads[engine].as_json(),
            "p99.9 / p50": float(points[3] / points[MIDDLE]),
            "model_seconds": model,
            "sampler_seconds": sampler,
            "histogram": [part.tolist() for part in np.histogram(np.log10(seconds), bins=BINS)],
        }
    columns = ["p50", "p90", "p99", "p99.9", "max", "model, mean", "sampler, mean"]
    title = "latency of a character, clock included"
    return Section(title, columns, rows, figures, ratios=ratios, spreads=spreads, notes=notes)


def measure(bench: Bench, engine: str, deadline: Deadline) -> tuple[Measurements, list[NDArray[np.int64]]]:
    """Rounds of characters, and the nanoseconds that each of them took."""
    measured = Measurements(latencies=True)
    rounds: list[NDArray[np.int64]] = []
    if deadline.passed:
        return measured, rounds
    generation = bench.model(engine).start(temperature=bench.temperature, seed=0)
    for _ in range(WARM_UP // WARM_UP_PART):
        generation.take(WARM_UP_PART)
        if deadline.passed:
            return measured, rounds
    generation.measurements = measured
    total = 0.0
    while total < bench.seconds and not deadline.passed:
        start, processor = perf_counter(), thread_time()
        generation.take(ROUND)
        bench.processor_time.add(perf_counter() - start, thread_time() - processor)
        rounds.append(np.array(measured.latencies, np.int64))
        measured.latencies = []
        total += rounds[-1].sum() * NANOSECOND
    return measured, rounds
