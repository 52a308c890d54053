"""The plot of a report: latencies, and the throughput of several streams."""

import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .report import format_vocabulary

LATENCY, MANY_STREAMS = "latency", "many-streams"
PLOTTED_SECTIONS = (LATENCY, MANY_STREAMS)

# Stored in the PNG file, to recognize plots that may be overwritten.
SOFTWARE = "textgen-bench"
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
HEADER_BYTES = 512

PANEL_INCHES = (5.5, 3.8)
MICROSECONDS = 1e6


def plot(report: Mapping[str, Any]) -> bytes:
    """Draw the sections "latency" and "many-streams" of a report, with one row of panels per model.

    Args:
        report: The content of the JSON report.

    Returns:
        A PNG file.

    Raises:
        ImportError: If matplotlib is not installed.
    """
    from matplotlib.figure import Figure

    models = report["models"]
    panels = [name for name in PLOTTED_SECTIONS if any(_has(model, name) for model in models)]
    columns = max(len(panels), 1)
    size = (PANEL_INCHES[0] * columns, PANEL_INCHES[1] * len(models) + 0.4)
    figure = Figure(figsize=size, dpi=120, layout="constrained")
    machine = report["machine"]
    cores = f"{machine['cores']} usable core{'s' * (machine['cores'] > 1)}"
    figure.suptitle(f"textgen-bench on {machine['processor']} ({cores}), {report['date'][:10]}")
    axes = figure.subplots(len(models), columns, squeeze=False)
    for row, model in zip(axes, models, strict=True):
        for panel, name in zip(row, panels, strict=False):
            description = (
                f"{Path(model['file']).name}, {model['layers']} x {model['units']} units, "
                f"{format_vocabulary(model)}"
            )
            draw, title = (_latency, "latency") if name == LATENCY else (_throughput, "throughput")
            # A file name may contain dollar signs, which do not enclose a formula here.
            panel.set_title(f"{title}: {description}", fontsize=9, parse_math=False)
            panel.grid(alpha=0.25)
            if _has(model, name):
                draw(panel, model["sections"][name]["figures"], model.get("unit", "character"))
                panel.legend(frameon=False, fontsize=8)
    png = io.BytesIO()
    figure.savefig(png, format="png", metadata={"Software": SOFTWARE})
    return png.getvalue()


def is_plot(path: Path) -> bool:
    """Return whether a file is a plot of ``textgen-bench``; False if it cannot be read."""
    try:
        with path.open("rb") as file:
            header = file.read(HEADER_BYTES)
    except OSError:
        return False
    return header.startswith(PNG_SIGNATURE) and SOFTWARE.encode() in header


def _has(model: Mapping[str, Any], section: str) -> bool:
    return bool(model["sections"].get(section, {}).get("figures"))


def _latency(axes: Any, engines: Mapping[str, Any], unit: str) -> None:
    """Draw a histogram of the time per token, with a dotted line at the 99th percentile."""
    x_values = []
    for engine, figures in engines.items():
        counts, edges = figures["histogram"]
        shares = [100 * count / sum(counts) for count in counts]
        points = [figures["percentiles"][name] * MICROSECONDS for name in ("50", "99", "99.9")]
        label = f"{engine}: median {points[0]:.3g} us, p99 (dotted) {points[1]:.3g} us"
        histogram = axes.stairs(
            shares, [10**edge * MICROSECONDS for edge in edges], label=label, fill=True, alpha=0.6
        )
        axes.axvline(points[1], color=histogram.get_facecolor(), linestyle=":", linewidth=1)
        x_values += [min(10**edge * MICROSECONDS for edge in edges), points[2]]
    axes.set(
        xscale="log",
        xlabel=f"microseconds per {unit} (slowest 0.1% not shown)",
        ylabel=f"{unit}s (%)",
        xlim=(min(x_values) / 1.2, max(x_values)),
    )
    _plain_numbers(axes.xaxis, axes.get_xlim())


def _throughput(axes: Any, candidates: Mapping[str, Any], unit: str) -> None:
    """Draw tokens/s over the number of streams, with bars from the first to the third quartile."""
    counts = sorted({int(streams) for figures in candidates.values() for streams in figures})
    for name, figures in candidates.items():
        medians = [spread["median"] for spread in figures.values()]
        # Rounding errors can make the distance between a quartile and an equal median negative.
        below = [max(0.0, spread["median"] - spread["quartiles"][0]) for spread in figures.values()]
        above = [max(0.0, spread["quartiles"][1] - spread["median"]) for spread in figures.values()]
        streams = [int(streams) for streams in figures]
        axes.errorbar(streams, medians, yerr=(below, above), marker="o", capsize=3, label=name)
    axes.set(
        xscale="log",
        yscale="log",
        xlabel="streams (bars: first to third quartile of the rounds)",
        ylabel=f"total {unit}s/s",
    )
    axes.set_xticks(counts, [str(count) for count in counts])
    axes.minorticks_off()
    _plain_numbers(axes.yaxis, axes.get_ylim())


def _plain_numbers(axis: Any, limits: Sequence[float]) -> None:
    """Label an axis at 1, 2 and 5 times powers of ten, without exponents."""
    low, high = (math.floor(math.log10(limit)) for limit in limits)
    ticks = [
        step * 10.0**power
        for power in range(low, high + 1)
        for step in (1, 2, 5)
        if limits[0] <= step * 10.0**power <= limits[1]
    ]
    axis.set_ticks(ticks, [f"{tick:,.10g}" for tick in ticks])
    axis.set_tick_params(which="minor", length=0)
