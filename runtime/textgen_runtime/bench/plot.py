"""The picture of a report: latencies, and the throughput of many streams."""

import io
from typing import Any


def plot(sections: dict[str, Any]) -> bytes:
    """Draw the figures of the sections "latency" and "many streams" as a PNG picture.

    Raises:
        ImportError: If matplotlib is not installed.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), dpi=120, layout="constrained")
    left, right = figure.subplots(1, 2)
    for engine, figures in sections["latency"].items():
        counts, edges = figures["histogram"]
        shares = [count / sum(counts) for count in counts]
        left.stairs(shares, [10**edge * 1e6 for edge in edges], label=engine, fill=True, alpha=0.6)
    left.set(xscale="log", xlabel="microseconds a character", ylabel="share of characters", title="latency")
    left.legend(frameon=False)
    for name, figures in sections["many streams"].items():
        right.plot([int(streams) for streams in figures], list(figures.values()), marker="o", label=name)
    right.set(xscale="log", yscale="log", xlabel="streams", ylabel="characters/s", title="throughput")
    right.set_xticks([1, 4, 16, 64, 256], ["1", "4", "16", "64", "256"])
    right.legend(frameon=False, fontsize=8)
    for axes in (left, right):
        axes.grid(alpha=0.25)
    picture = io.BytesIO()
    figure.savefig(picture, format="png")
    return picture.getvalue()
