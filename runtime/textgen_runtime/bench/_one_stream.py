"""The measurements of one stream: generating it, and reading a prompt."""

from array import array
from collections.abc import Callable
from typing import Any

from textgen_runtime.generation.generation import feed_in_chunks

from ._loops import WINDOW
from ._rounds import cut_short, interleave, medians, sized_in_time
from ._spread import ratios, spreads
from .context import Bench
from .deadline import Deadline
from .report import Section, microseconds, per_second, times

PLAIN, CLASSIC = "onnxruntime, plain loop", f"onnxruntime, {WINDOW} characters re-read"
WEIGHTS = "weights streamed once"
PROMPT = 512


def one_stream(bench: Bench, deadline: Deadline) -> Section:
    """A character of one stream, beside loops written by hand and the least time that it could take."""
    makers: dict[str, Callable[[], Callable[[int], Any]]] = {
        engine: lambda engine=engine: bench.takes(engine)  # type: ignore[misc]
        for engine in bench.engines
    }
    makers[PLAIN] = lambda: bench.hand_written().plain
    makers[CLASSIC] = lambda: bench.hand_written().classic
    if core := bench.core:
        makers[WEIGHTS] = lambda: core.read_weights
    contestants = sized_in_time(makers, deadline)
    taken = interleave(contestants, bench.seconds, deadline, bench.processor_time)
    middle = medians(taken)
    plain, roofline = middle.get(PLAIN), middle.get(WEIGHTS)
    rows = [
        (
            name,
            [
                microseconds(each),
                "" if name == WEIGHTS else per_second(each),
                times(plain / each) if plain else "",
                times(each / roofline) if roofline else "",
            ],
        )
        for name, each in middle.items()
    ]
    spread = spreads(taken)
    return Section(
        "one stream, sampling included",
        ["a character", "characters", "plain loop / it", "it / roofline"],
        rows,
        {"seconds": {name: each.as_json() for name, each in spread.items()}},
        ratios=ratios(taken, bench.engines, [PLAIN, WEIGHTS]),
        spreads=spread,
        notes=cut_short(makers, taken),
    )


def prompts(bench: Bench, deadline: Deadline) -> Section:
    """Reading a prompt as a generation does, characters a second."""

    def reads(name: str) -> Callable[[int], None]:
        engine = bench.model(name).engine
        tokens = array("q", (each % engine.vocabulary_size for each in range(PROMPT)))
        state = engine.initial_state()

        def read(repeats: int) -> None:
            for _ in range(repeats):
                feed_in_chunks(engine, tokens, state)

        return read

    makers: dict[str, Callable[[], Callable[[int], Any]]] = {
        name: lambda name=name: reads(name)  # type: ignore[misc]
        for name in bench.engines
    }
    contestants = sized_in_time(makers, deadline)
    whole = interleave(contestants, bench.seconds / 2, deadline, bench.processor_time)
    taken = {name: [each / PROMPT for each in rounds] for name, rounds in whole.items()}
    rows = [(name, [microseconds(each), per_second(each)]) for name, each in medians(taken).items()]
    spread = spreads(taken)
    return Section(
        f"reading a prompt of {PROMPT}",
        ["a character", "characters"],
        rows,
        {"seconds": {name: each.as_json() for name, each in spread.items()}},
        ratios=ratios(taken, ["native"], ["onnxruntime"]),
        spreads=spread,
        notes=cut_short(makers, taken),
    )
