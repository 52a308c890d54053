"""The section "latency": the distribution of the time per token."""

from time import perf_counter, thread_time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textgen_runtime.engines.base import Measurements

from ._spread import Ratio, Spread
from .context import BenchContext
from .deadline import Deadline
from .report import Section, microseconds

PERCENTILES = (50, 90, 99, 99.9, 100)
P50, P99, P999 = (PERCENTILES.index(percentile) for percentile in (50, 99, 99.9))

# Characters to generate before the measurement, in chunks after which the deadline is checked.
WARM_UP, WARM_UP_CHUNK = 2000, 200

# Tokens per round. The overhead of a call slows its first token, so that shorter rounds would raise
# the 99th percentile.
ROUND = 2000

NANOSECOND = 1e-9
BINS = 200


def latency(bench: BenchContext, deadline: Deadline) -> Section:
    """Measure percentiles of the time per token, and the mean times of model and sampler."""
    rows, figures, notes = [], dict[str, Any](), []
    ratios, spreads = {}, {}
    for index, engine in enumerate(bench.engines):
        share = deadline.share(1 / (len(bench.engines) - index))
        measurements, rounds = measure_rounds(bench, engine, share)
        if not rounds:
            notes.append(f"not measured, out of time: {engine}")
            continue
        seconds = np.concatenate(rounds) * NANOSECOND
        if seconds.sum() < bench.seconds:
            notes.append(f"out of time after {seconds.sum():.2g} of {bench.seconds:.2g} seconds: {engine}")
        points = np.percentile(seconds, PERCENTILES)
        model = measurements.model_seconds / measurements.draws
        sampler = measurements.sampler_seconds / measurements.draws
        rows.append((engine, [microseconds(value) for value in (*points, model, sampler)]))
        medians = [float(np.median(latencies)) * NANOSECOND for latencies in rounds]
        tails = [float(np.percentile(latencies, PERCENTILES[P99])) * NANOSECOND for latencies in rounds]
        spreads[engine] = Spread.of(medians)
        per_round = Ratio.of(tails, medians)
        # The value is computed from all tokens, as in the table. The quartiles are those of the rounds.
        overall = float(points[P99] / points[P50])
        ratios[f"{engine} p99 / p50"] = Ratio(overall, per_round.lower, per_round.upper, per_round.rounds)
        figures[engine] = {
            "percentiles": dict(zip(map(str, PERCENTILES), points.tolist(), strict=True)),
            "p50 of a round": spreads[engine].as_json(),
            "p99.9 / p50": float(points[P999] / points[P50]),
            "model_seconds": model,
            "sampler_seconds": sampler,
            "histogram": [array.tolist() for array in np.histogram(np.log10(seconds), bins=BINS)],
        }
    columns = ["p50", "p90", "p99", "p99.9", "max", "model mean", "sampler mean"]
    title = f"latency per {bench.unit}, including the overhead of the clock"
    return Section(title, columns, rows, figures, ratios=ratios, spreads=spreads, notes=notes)


def measure_rounds(
    bench: BenchContext, engine: str, deadline: Deadline
) -> tuple[Measurements, list[NDArray[np.int64]]]:
    """Generate rounds of ``ROUND`` tokens.

    Returns:
        The accumulated measurements, and for each round the nanoseconds of every token, of shape
        (ROUND,).
    """
    measurements = Measurements(latencies=True)
    rounds: list[NDArray[np.int64]] = []
    if deadline.passed:
        return measurements, rounds
    generation = bench.model(engine).start(temperature=bench.temperature, seed=0)
    for _ in range(WARM_UP // WARM_UP_CHUNK):
        generation.take(WARM_UP_CHUNK)
        if deadline.passed:
            return measurements, rounds
    generation.measurements = measurements
    total = 0.0
    while total < bench.seconds and not deadline.passed:
        start, processor_start = perf_counter(), thread_time()
        generation.take(ROUND)
        bench.processor_time.add(perf_counter() - start, thread_time() - processor_start)
        rounds.append(np.array(measurements.latencies, np.int64))
        measurements.latencies = []
        total += rounds[-1].sum() * NANOSECOND
    return measurements, rounds
