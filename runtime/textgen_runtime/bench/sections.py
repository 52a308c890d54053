"""The sections of the report, and how they share the time of a quick run."""

from collections.abc import Callable, Iterator, Sequence

from ._many_streams import many_streams
from ._one_stream import control, latency, one_stream, prompts
from ._processes import cold_start, memory
from .context import BenchContext
from .report import Section
from .rounds import Deadline

# In the order of the report: the function, and the relative duration in a quick run on an idle machine.
SECTIONS: dict[str, tuple[Callable[[BenchContext, Deadline], Section], float]] = {
    "one-stream": (one_stream, 1.0),
    "latency": (latency, 0.8),
    "many-streams": (many_streams, 2.5),
    "prompts": (prompts, 0.5),
    "control": (control, 1.0),
    "cold-start": (cold_start, 3.5),
    "memory": (memory, 1.2),
}


def measure(bench: BenchContext, names: Sequence[str], deadline: Deadline) -> Iterator[tuple[str, Section]]:
    """Measure sections in the order of ``SECTIONS``.

    Args:
        bench: The model and the settings.
        names: Names of the sections.
        deadline: When to end. Time that a section does not use is available to the following sections.
    """
    remaining = [name for name in SECTIONS if name in names]
    while remaining:
        fraction = SECTIONS[remaining[0]][1] / sum(SECTIONS[name][1] for name in remaining)
        name = remaining.pop(0)
        yield name, SECTIONS[name][0](bench, deadline.share(fraction))
