"""The machine: its description in a report, and warnings about other load that may disturb the figures."""

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from textgen_runtime._core import kernel_names
from textgen_runtime._version import __version__
from textgen_runtime.system.processors import available_processors

# The machine counts as busy if the load average per processor over the last minute is above this value. On
# two processors, that is one process that computes half of the time. Such a process affects the measured one
# even on another processor: it takes cache, memory bandwidth and clock rate.
BUSY_LOAD = 0.25

# The machine counts as busy if a computing thread waits for a processor for more than this share of the
# time. The share is below 1% on an idle machine. At 5%, the figures are off by about 5%.
BUSY_WAIT = 0.05

# The rounds of a figure vary too much if their interquartile range is above this share of the median. At the
# limit, the median of five rounds is accurate to about 10%. Smaller differences between reports are noise.
MAX_RELATIVE_IQR = 0.2


def describe_machine() -> dict[str, str | int | list[str]]:
    """Return the processor, the number of usable cores, the available kernels and the versions."""
    import onnxruntime

    return {
        "processor": _processor(),
        "cores": available_processors(),
        "kernels": kernel_names(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "numpy": np.__version__,
        "onnxruntime": onnxruntime.__version__,
        "textgen-onnx": __version__,
    }


def format_machine(machine: Mapping[str, Any]) -> str:
    """Return a description by ``describe_machine`` in one line."""
    values = {name: " ".join(value) if isinstance(value, list) else value for name, value in machine.items()}
    return ", ".join(f"{name} {value}" for name, value in values.items())


def _processor() -> str:
    """Return the processor's model name on Linux, and elsewhere what ``platform`` reports."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def load_average() -> list[float] | None:
    """Return the machine's load averages over 1, 5 and 15 minutes; None if the system has none."""
    try:
        return [round(average, 2) for average in os.getloadavg()]
    except (AttributeError, OSError):
        return None


@dataclass
class ProcessorTime:
    """Wall-clock time and processor time of a computing thread.

    Attributes:
        clock: Elapsed seconds.
        processor: Seconds in which the thread ran on a processor.
    """

    clock: float = 0.0
    processor: float = 0.0

    def add(self, clock: float, processor: float) -> None:
        self.clock += clock
        self.processor += processor

    @property
    def waited(self) -> float | None:
        """The share of time spent waiting for a processor, in [0, 1]; None before any measurement."""
        return max(0.0, 1.0 - self.processor / self.clock) if self.clock else None


def load_warning(load: list[float] | None) -> str | None:
    """Return a warning if other programs loaded the machine before the measurements.

    Args:
        load: The result of ``load_average``.
    """
    processors = os.cpu_count() or 1
    if load is None or load[0] / processors <= BUSY_LOAD:
        return None
    return (
        f"the machine was busy before the start: load average {load[0]:.2f} on {processors} processors "
        f"(limit {BUSY_LOAD * processors:.2g}); times may be too long, ratios are less affected; "
        "repeat the measurement on an idle machine"
    )


def wait_warning(time: ProcessorTime) -> str | None:
    """Return a warning if the measured code had to wait for a processor."""
    waited = time.waited
    if waited is None or waited <= BUSY_WAIT:
        return None
    return (
        f"the machine was busy: the measured code waited for a processor {waited:.0%} of the time (limit "
        f"{BUSY_WAIT:.0%}); repeat on an idle machine"
    )


def spread_warning(sections: dict[str, Any]) -> str | None:
    """Return a warning if the rounds of a figure differ too much.

    Args:
        sections: By name, objects with an attribute ``spreads``.
    """
    wide = {
        f"{section_name}: {figure}": spread.relative_iqr
        for section_name, section in sections.items()
        for figure, spread in section.spreads.items()
        if spread.relative_iqr > MAX_RELATIVE_IQR
    }
    if not wide:
        return None
    widest = max(wide, key=lambda name: wide[name])
    return (
        f"{len(wide)} figure{'s vary' if len(wide) > 1 else ' varies'} too much between rounds; the worst is "
        f"{widest}: its interquartile range is {wide[widest]:.0%} of the median (limit "
        f"{MAX_RELATIVE_IQR:.0%}); repeat the measurement on an idle machine"
    )
