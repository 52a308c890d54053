"""The names of the sections, and how they share the time of a quick run."""

from collections.abc import Callable, Iterator, Sequence

from .context import BenchContext
from .deadline import Deadline
from .report import Section

# Relative durations of the sections in a quick run on an idle machine.
TIME_SHARES = {
    "one-stream": 1.0,
    "latency": 0.8,
    "many-streams": 2.5,
    "prompts": 0.5,
    "control": 1.0,
    "cold-start": 3.5,
    "memory": 1.2,
}


def measure(bench: BenchContext, names: Sequence[str], deadline: Deadline) -> Iterator[tuple[str, Section]]:
    """Measure sections in the order of ``TIME_SHARES``.

    Args:
        bench: The model and the settings.
        names: Names of the sections.
        deadline: When to end. Time that a section does not use is available to the following sections.
    """
    functions = _functions()
    remaining = [name for name in TIME_SHARES if name in names]
    while remaining:
        fraction = TIME_SHARES[remaining[0]] / sum(TIME_SHARES[name] for name in remaining)
        name = remaining.pop(0)
        yield name, functions[name](bench, deadline.share(fraction))


def _functions() -> dict[str, Callable[[BenchContext, Deadline], Section]]:
    # Local imports: these modules import onnxruntime, which parsing the command line does not need.
    from . import _control as control
    from . import _latency as latency
    from . import _many_streams as many_streams
    from . import _one_stream as one_stream
    from . import _processes as processes

    return {
        "one-stream": one_stream.one_stream,
        "latency": latency.latency,
        "many-streams": many_streams.many_streams,
        "prompts": one_stream.prompts,
        "control": control.control,
        "cold-start": processes.cold_start,
        "memory": processes.memory,
    }
