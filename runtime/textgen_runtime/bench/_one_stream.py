"""The sections of one stream: "one-stream", "prompts", "latency" and "control"."""

from array import array
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from time import perf_counter, thread_time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textgen_runtime._core import Constraint
from textgen_runtime.engines.base import Measurements
from textgen_runtime.generation.feeding import feed_in_chunks
from textgen_runtime.sampling.parameters import Sampling

from .context import WINDOW, BaselineLoops, BenchContext, run_streams
from .report import Section, microseconds, per_second, timed, times
from .rounds import Deadline, Spread, calibrate_all, interleave, medians, ratios

Generator = Callable[[int], object]

# The names of the rows are also names of figures in the reports, which --compare looks up.
STATEFUL = "onnxruntime, plain loop"
ROOFLINE = "weights streamed once"
NOTHING, CONSTRAINT = "no filters", "a constraint"
FILTERS: dict[str, dict[str, Any]] = {
    "top-k 20": {"top_k": 20},
    "typical-p 0.95": {"typical_p": 0.95},
    "top-p 0.9": {"top_p": 0.9},
    "min-p 0.05": {"min_p": 0.05},
    "mirostat": {"mirostat_tau": 2.0},
    "three penalties": {
        "repetition_penalty": 1.1,
        "frequency_penalty": 0.01,
        "presence_penalty": 0.01,
    },
}
ALL_FILTERS = "all filters but mirostat"
STOPS = "eight stop texts"

PROMPT_LENGTH = 512

PERCENTILES = (50, 90, 99, 99.9, 100)
P50, P99, P999 = (PERCENTILES.index(percentile) for percentile in (50, 99, 99.9))

# Characters to generate before the measurement, in chunks after which the deadline is checked.
WARM_UP, WARM_UP_CHUNK = 2000, 200

# Tokens per round. The overhead of a call slows its first token, so that shorter rounds would raise
# the 99th percentile.
ROUND = 2000

NANOSECOND = 1e-9
BINS = 200

# States of the constraint. All but one are not accepting, so that nearly every step masks the logits.
STATES = 1000

# Texts that hardly occur, with common beginnings.
STOP_TEXTS = [f"{text} {text} {text}" for text in ("the", "of", "and", "in", "to", "is", "a", "that")]


def one_stream(bench: BenchContext, deadline: Deadline) -> Section:
    """Compare the engines with the baseline loops and with the roofline.

    The roofline is the time to read every weight once from memory or cache. No engine can generate a
    token in less time.
    """
    factories: dict[str, Callable[[], Generator]] = {
        engine: partial(bench.generator, engine) for engine in bench.engines
    }
    loops = partial(BaselineLoops, bench.content, 1, bench.temperature)
    factories[STATEFUL] = lambda: loops().stateful
    factories[f"onnxruntime, {WINDOW} {bench.unit}s re-read"] = lambda: loops().sliding_window
    if core := bench.core:
        factories[ROOFLINE] = lambda: core.read_weights
    seconds = interleave(calibrate_all(factories, deadline), bench.seconds, deadline, bench.processor_time)
    median_seconds = medians(seconds)
    baseline, roofline = median_seconds.get(STATEFUL), median_seconds.get(ROOFLINE)
    legend = []
    if baseline:
        legend.append(f'speedup: time of "{STATEFUL}" / time of the row')
    if roofline:
        legend.append(f'roofline: time of "{ROOFLINE}", the minimum time per {bench.unit}')
    rows = [
        (
            name,
            [
                microseconds(median),
                "" if name == ROOFLINE else per_second(median),
                times(baseline / median) if baseline else "",
                times(median / roofline) if roofline else "",
            ],
        )
        for name, median in median_seconds.items()
    ]
    return Section(
        "one stream, including sampling",
        [f"per {bench.unit}", f"{bench.unit}s/s", "speedup", "time / roofline"],
        rows,
        ratios=ratios(seconds, bench.engines, [STATEFUL, ROOFLINE]),
        legend=legend,
        **timed(factories, seconds),
    )


def prompts(bench: BenchContext, deadline: Deadline) -> Section:
    """Measure the time per token of a prompt, which is fed in chunks as in a generation."""

    def prompt_feeder(name: str) -> Generator:
        engine = bench.model(name).engine
        tokens = array("q", (i % engine.vocabulary_size for i in range(PROMPT_LENGTH)))
        position = engine.new_stream()

        def feed(repeats: int) -> None:
            for _ in range(repeats):
                feed_in_chunks(engine, position, tokens, restart=True)

        return feed

    candidates = calibrate_all({name: partial(prompt_feeder, name) for name in bench.engines}, deadline)
    per_prompt = interleave(candidates, bench.seconds / 2, deadline, bench.processor_time)
    seconds = {name: [value / PROMPT_LENGTH for value in rounds] for name, rounds in per_prompt.items()}
    return Section(
        f"prompt of {PROMPT_LENGTH} {bench.unit}s",
        [f"per {bench.unit}", f"{bench.unit}s/s"],
        [(name, [microseconds(median), per_second(median)]) for name, median in medians(seconds).items()],
        ratios=ratios(seconds, ["native"], ["onnxruntime"]),
        **timed(bench.engines, seconds),
    )


def latency(bench: BenchContext, deadline: Deadline) -> Section:
    """Measure percentiles of the time per token, and the mean times of model and sampler."""
    rows, figures, notes = [], dict[str, Any](), []
    tail_ratios, spreads = {}, {}
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
        round_medians = [float(np.median(latencies)) * NANOSECOND for latencies in rounds]
        tails = [float(np.percentile(latencies, PERCENTILES[P99])) * NANOSECOND for latencies in rounds]
        spreads[engine] = Spread.of(round_medians)
        # The value is computed from all tokens, as in the table. The quartiles are those of the rounds.
        tail_ratio = Spread.of_ratio(tails, round_medians)
        tail_ratios[f"{engine} p99 / p50"] = replace(tail_ratio, value=float(points[P99] / points[P50]))
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
    return Section(title, columns, rows, figures, ratios=tail_ratios, spreads=spreads, notes=notes)


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


def control(bench: BenchContext, deadline: Deadline) -> Section:
    """Measure one stream of the native engine with filters, stop texts and a constraint."""
    if bench.core is None:
        note = "not measured: the native engine does not support the model"
        return Section("control", [], [], notes=[note])
    together = {
        key: value
        for name, parameters in FILTERS.items()
        if name != "mirostat"
        for key, value in parameters.items()
    }
    tokenizer = bench.model("native").tokenizer
    stops = [text for text in STOP_TEXTS if tokenizer.can_encode(text)]
    options = {NOTHING: {}, **FILTERS, ALL_FILTERS: together, STOPS: {"stop": stops}}
    factories: dict[str, Callable[[], Generator]] = {
        name: partial(bench.generator, "native", **parameters) for name, parameters in options.items()
    }
    factories[CONSTRAINT] = partial(constrained_generator, bench)
    seconds = interleave(calibrate_all(factories, deadline), bench.seconds, deadline, bench.processor_time)
    median_seconds = medians(seconds)
    nothing = median_seconds.get(NOTHING)
    rows = [
        (
            name,
            [
                microseconds(median),
                microseconds(median - nothing) if nothing else "",
                times(median / nothing) if nothing else "",
            ],
        )
        for name, median in median_seconds.items()
    ]
    return Section(
        "control of one stream, native engine",
        [f"per {bench.unit}", "added", "time / no filters"],
        rows,
        ratios=ratios(seconds, [ALL_FILTERS, STOPS, CONSTRAINT], [NOTHING]),
        **timed(factories, seconds),
    )


def constrained_generator(bench: BenchContext) -> Generator:
    """Return a function that generates with a constraint that allows every text.

    Its states form a ring. Only the last one is accepting, and it allows every token, so that no text ends.
    """
    model = bench.model("native")
    vocabulary = model.engine.vocabulary_size
    table = array("h")
    for state in range(STATES):
        table.extend([(state + 1) % STATES] * vocabulary)
    constraint = Constraint(table, [state == STATES - 1 for state in range(STATES)])
    stream = model.start(temperature=bench.temperature, seed=0).position
    stream.configure(Sampling(temperature=bench.temperature), constraint=constraint)
    return partial(run_streams, model.engine, [stream])
