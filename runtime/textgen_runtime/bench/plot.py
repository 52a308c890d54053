"""The picture of a report: latencies, and the throughput of many streams."""

import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

# The sections that it shows.
LATENCY, MANY_STREAMS = "latency", "many-streams"
SHOWN = (LATENCY, MANY_STREAMS)

# What the file says it was made by, so that it may be replaced by a newer one.
MADE_BY = "textgen-bench"
SIGNATURE = b"\x89PNG\r\n\x1a\n"
HEADER_BYTES = 512

PANEL = (5.5, 3.8)
MICROSECONDS = 1e6


def plot(report: Mapping[str, Any]) -> bytes:
    """Draw the figures of the sections "latency" and "many-streams" as a PNG picture, a row for each model.

    Args:
        report: As ``--json`` writes it.

    Raises:
        ImportError: If matplotlib is not installed.
    """
    from matplotlib.figure import Figure

    models = report["models"]
    panels = [name for name in SHOWN if any(_has(model, name) for model in models)]
    columns = max(len(panels), 1)
    size = (PANEL[0] * columns, PANEL[1] * len(models) + 0.4)
    figure = Figure(figsize=size, dpi=120, layout="constrained")
    machine = report["machine"]
    figure.suptitle(
        f"textgen-bench on {machine['processor']} ({machine['cores']} usable), {report['date'][:10]}"
    )
    axes = figure.subplots(len(models), columns, squeeze=False)
    for row, model in zip(axes, models, strict=True):
        for place, name in zip(row, panels, strict=False):
            what = (
                f"{Path(model['file']).name}, {model['layers']} x {model['units']} units, "
                f"{model['vocabulary']} characters"
            )
            draw, title = (_latency, "latency") if name == LATENCY else (_throughput, "throughput")
            # A file may be called anything: dollar signs are no formula here.
            place.set_title(f"{title}: {what}", fontsize=9, parse_math=False)
            place.grid(alpha=0.25)
            if _has(model, name):
                draw(place, model["sections"][name]["figures"])
                place.legend(frameon=False, fontsize=8)
    picture = io.BytesIO()
    figure.savefig(picture, format="png", metadata={"Software": MADE_BY})
    return picture.getvalue()


def is_plot(path: Path) -> bool:
    """Whether a file is such a picture; False too if it cannot be read."""
    try:
        with path.open("rb") as file:
            opening = file.read(HEADER_BYTES)
    except OSError:
        return False
    return opening.startswith(SIGNATURE) and MADE_BY.encode() in opening


def _has(model: Mapping[str, Any], section: str) -> bool:
    return bool(model["sections"].get(section, {}).get("figures"))


def _latency(axes: Any, engines: Mapping[str, Any]) -> None:
    """How often a character took how long; a dotted line at the 99th percentile."""
    shown = []
    for engine, figures in engines.items():
        counts, edges = figures["histogram"]
        shares = [100 * count / sum(counts) for count in counts]
        points = [figures["percentiles"][name] * MICROSECONDS for name in ("50", "99", "99.9")]
        label = f"{engine}: median {points[0]:.3g} us, 99% (dotted) below {points[1]:.3g} us"
        drawn = axes.stairs(
            shares, [10**edge * MICROSECONDS for edge in edges], label=label, fill=True, alpha=0.6
        )
        axes.axvline(points[1], color=drawn.get_facecolor(), linestyle=":", linewidth=1)
        shown += [min(10**edge * MICROSECONDS for edge in edges), points[2]]
    axes.set(
        xscale="log",
        xlabel="microseconds a character (slowest 0.1% not shown)",
        ylabel="characters (%)",
        xlim=(min(shown) / 1.2, max(shown)),
    )
    _plain_numbers(axes.xaxis, axes.get_xlim())


def _throughput(axes: Any, contestants: Mapping[str, Any]) -> None:
    """Characters a second by the number of streams; bars from the first quartile to the third."""
    counts = sorted({int(streams) for figures in contestants.values() for streams in figures})
    for name, figures in contestants.items():
        middle = [each["median"] for each in figures.values()]
        # Rounding can put a quartile on the other side of an equal median.
        below = [max(0.0, each["median"] - each["quartiles"][0]) for each in figures.values()]
        above = [max(0.0, each["quartiles"][1] - each["median"]) for each in figures.values()]
        streams = [int(streams) for streams in figures]
        axes.errorbar(streams, middle, yerr=(below, above), marker="o", capsize=3, label=name)
    axes.set(
        xscale="log",
        yscale="log",
        xlabel="streams (bars: quartiles of the rounds)",
        ylabel="characters/s, all streams together",
    )
    axes.set_xticks(counts, [str(count) for count in counts])
    axes.minorticks_off()
    _plain_numbers(axes.yaxis, axes.get_ylim())


def _plain_numbers(axis: Any, limits: Sequence[float]) -> None:
    """Ticks at 1, 2 and 5 times powers of ten, written out."""
    low, high = (math.floor(math.log10(limit)) for limit in limits)
    ticks = [
        step * 10.0**power
        for power in range(low, high + 1)
        for step in (1, 2, 5)
        if limits[0] <= step * 10.0**power <= limits[1]
    ]
    axis.set_ticks(ticks, [f"{tick:,.10g}" for tick in ticks])
    axis.set_tick_params(which="minor", length=0)
