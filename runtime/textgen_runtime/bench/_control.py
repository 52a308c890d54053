"""The section "control": what filters, stop texts and constraints add to the time per token."""

from array import array
from collections.abc import Callable
from typing import Any

from textgen_runtime.engines.base import Lane
from textgen_runtime.sampling.automata import Constraint
from textgen_runtime.sampling.parameters import Sampling

from ._rounds import calibrate_all, deadline_notes, interleave, medians
from ._spread import ratios, spreads
from .context import BenchContext
from .deadline import Deadline
from .report import Section, microseconds, times

TITLE = "control of one stream, native engine"

# The names of the rows are also names of figures in the reports, which --compare looks up.
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

# States of the constraint. All but one are not accepting, so that nearly every step masks the logits.
STATES = 1000

# Texts that hardly occur, with common beginnings.
STOP_TEXTS = [f"{text} {text} {text}" for text in ("the", "of", "and", "in", "to", "is", "a", "that")]


def control(bench: BenchContext, deadline: Deadline) -> Section:
    """Measure one stream of the native engine with filters, stop texts and a constraint."""
    if bench.core is None:
        return Section(
            "control", [], [], notes=["not measured: the native engine does not support the model"]
        )
    options = {NOTHING: {}, **FILTERS, ALL_FILTERS: all_filters(), STOPS: {"stop": possible_stops(bench)}}
    factories: dict[str, Callable[[], Callable[[int], Any]]] = {
        name: lambda parameters=parameters: generator(bench, parameters)  # type: ignore[misc]
        for name, parameters in options.items()
    }
    factories[CONSTRAINT] = lambda: constrained_generator(bench)
    candidates = calibrate_all(factories, deadline)
    seconds = interleave(candidates, bench.seconds, deadline, bench.processor_time)
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
    figures = spreads(seconds)
    return Section(
        TITLE,
        [f"per {bench.unit}", "added", "time / no filters"],
        rows,
        {"seconds": {name: spread.as_json() for name, spread in figures.items()}},
        ratios=ratios(seconds, [ALL_FILTERS, STOPS, CONSTRAINT], [NOTHING]),
        spreads=figures,
        notes=deadline_notes(factories, seconds),
    )


def all_filters() -> dict[str, Any]:
    """Return the parameters of all filters that can be used together, with a bias."""
    together: dict[str, Any] = {}
    for name, parameters in FILTERS.items():
        if name != "mirostat":
            together |= parameters
    return together


def possible_stops(bench: BenchContext) -> list[str]:
    """Return the stop texts that the vocabulary can produce."""
    tokenizer = bench.model("native").tokenizer
    return [text for text in STOP_TEXTS if tokenizer.can_encode(text)]


def generator(bench: BenchContext, parameters: dict[str, Any]) -> Callable[[int], object]:
    """Return a function that generates the given number of tokens through the public API."""
    sampling = Sampling(temperature=bench.temperature, **parameters)
    return bench.model("native").start(sampling=sampling, seed=0).take


def constrained_generator(bench: BenchContext) -> Callable[[int], object]:
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
    return lambda length: model.engine.generate([Lane(stream, length)], length)
