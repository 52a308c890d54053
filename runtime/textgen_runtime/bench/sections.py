"""The sections of a report: their names, and how they share the time."""

from collections.abc import Callable, Iterator, Sequence

from .context import Bench
from .deadline import Deadline
from .report import Section

# What each takes of the time of a quick run on an idle machine, in proportion to the others.
SHARES = {
    "one-stream": 1.0,
    "latency": 0.8,
    "many-streams": 2.5,
    "prompts": 0.5,
    "cold-start": 3.5,
    "memory": 1.2,
}


def measure(bench: Bench, names: Sequence[str], deadline: Deadline) -> Iterator[tuple[str, Section]]:
    """Measure sections, in the order of ``SHARES``.

    Args:
        bench: What is measured.
        names: Of the sections.
        deadline: When to end. What a section leaves of its share goes to those after it.
    """
    functions = _functions()
    waiting = [name for name in SHARES if name in names]
    while waiting:
        part = SHARES[waiting[0]] / sum(SHARES[name] for name in waiting)
        name = waiting.pop(0)
        yield name, functions[name](bench, deadline.share(part))


def _functions() -> dict[str, Callable[[Bench, Deadline], Section]]:
    # Only here, because they import onnxruntime, which the command's arguments do not need.
    from . import _latency as latency
    from . import _many_streams as many_streams
    from . import _one_stream as one_stream
    from . import _processes as processes

    return {
        "one-stream": one_stream.one_stream,
        "latency": latency.latency,
        "many-streams": many_streams.many_streams,
        "prompts": one_stream.prompts,
        "cold-start": processes.cold_start,
        "memory": processes.memory,
    }
