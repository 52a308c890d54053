"""The sections "one-stream" and "prompts": generating one text, and feeding a prompt."""

from array import array
from collections.abc import Callable
from typing import Any

from textgen_runtime.generation.feeding import feed_in_chunks

from ._baselines import WINDOW
from ._rounds import calibrate_all, deadline_notes, interleave, medians
from ._spread import ratios, spreads
from .context import BenchContext
from .deadline import Deadline
from .report import Section, microseconds, per_second, times

# The names of the rows are also names of figures in the reports, which --compare looks up.
STATEFUL = "onnxruntime, plain loop"
ROOFLINE = "weights streamed once"
PROMPT_LENGTH = 512


def one_stream(bench: BenchContext, deadline: Deadline) -> Section:
    """Compare the engines with the baseline loops and with the roofline.

    The roofline is the time to read every weight once from memory or cache. No engine can generate a
    token in less time.
    """
    sliding_window = f"onnxruntime, {WINDOW} {bench.unit}s re-read"
    factories: dict[str, Callable[[], Callable[[int], Any]]] = {
        engine: lambda engine=engine: bench.generator(engine)  # type: ignore[misc]
        for engine in bench.engines
    }
    factories[STATEFUL] = lambda: bench.baseline_loops().stateful
    factories[sliding_window] = lambda: bench.baseline_loops().sliding_window
    if core := bench.core:
        factories[ROOFLINE] = lambda: core.read_weights
    candidates = calibrate_all(factories, deadline)
    seconds = interleave(candidates, bench.seconds, deadline, bench.processor_time)
    median_seconds = medians(seconds)
    baseline, roofline = median_seconds.get(STATEFUL), median_seconds.get(ROOFLINE)
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
    legend = []
    if baseline:
        legend.append(f'speedup: time of "{STATEFUL}" / time of the row')
    if roofline:
        legend.append(f'roofline: time of "{ROOFLINE}", the minimum time per {bench.unit}')
    figures = spreads(seconds)
    return Section(
        "one stream, including sampling",
        [f"per {bench.unit}", f"{bench.unit}s/s", "speedup", "time / roofline"],
        rows,
        {"seconds": {name: spread.as_json() for name, spread in figures.items()}},
        ratios=ratios(seconds, bench.engines, [STATEFUL, ROOFLINE]),
        spreads=figures,
        notes=deadline_notes(factories, seconds),
        legend=legend,
    )


def prompts(bench: BenchContext, deadline: Deadline) -> Section:
    """Measure the time per token of a prompt, which is fed in chunks as in a generation."""

    def prompt_feeder(name: str) -> Callable[[int], None]:
        engine = bench.model(name).engine
        tokens = array("q", (i % engine.vocabulary_size for i in range(PROMPT_LENGTH)))
        position = engine.new_stream()

        def feed(repeats: int) -> None:
            for _ in range(repeats):
                feed_in_chunks(engine, position, tokens, restart=True)

        return feed

    factories: dict[str, Callable[[], Callable[[int], Any]]] = {
        name: lambda name=name: prompt_feeder(name)  # type: ignore[misc]
        for name in bench.engines
    }
    candidates = calibrate_all(factories, deadline)
    per_prompt = interleave(candidates, bench.seconds / 2, deadline, bench.processor_time)
    seconds = {name: [value / PROMPT_LENGTH for value in rounds] for name, rounds in per_prompt.items()}
    rows = [(name, [microseconds(median), per_second(median)]) for name, median in medians(seconds).items()]
    figures = spreads(seconds)
    return Section(
        f"prompt of {PROMPT_LENGTH} {bench.unit}s",
        [f"per {bench.unit}", f"{bench.unit}s/s"],
        rows,
        {"seconds": {name: spread.as_json() for name, spread in figures.items()}},
        ratios=ratios(seconds, ["native"], ["onnxruntime"]),
        spreads=figures,
        notes=deadline_notes(factories, seconds),
    )
