"""The description of the machine in a report."""

import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from textgen_runtime._version import __version__
from textgen_runtime.engines.core import kernel_names
from textgen_runtime.system.processors import available_processors


def describe_machine() -> dict[str, str | int | list[str]]:
    """Return the processor, the number of usable cores, the available kernels and the versions."""
    return {
        "processor": _processor(),
        "cores": available_processors(),
        "kernels": kernel_names(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "numpy": np.__version__,
        "onnxruntime": _onnxruntime_version(),
        "textgen-onnx": __version__,
    }


def format_machine(machine: Mapping[str, Any]) -> str:
    """Return a description by ``describe_machine`` in one line."""
    values = {name: " ".join(value) if isinstance(value, list) else value for name, value in machine.items()}
    return ", ".join(f"{name} {value}" for name, value in values.items())


def _onnxruntime_version() -> str:
    import onnxruntime

    return str(onnxruntime.__version__)


def _processor() -> str:
    """Return the processor's model name on Linux, and elsewhere what ``platform`` reports."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
