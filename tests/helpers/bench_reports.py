"""Handwritten reports of ``textgen-bench``."""

import copy
from typing import Any

SPREAD = {"median": 4e-6, "quartiles": [3.9e-6, 4.1e-6], "rounds": 5}


def ratio(value: float) -> dict[str, Any]:
    return {"value": value, "quartiles": [value, value], "rounds": 5}


LATENCY = {
    "percentiles": {"50": 4e-6, "90": 4e-6, "99": 5e-6, "99.9": 9e-6, "100": 2e-5},
    "histogram": [[5, 90, 5], [-5.4, -5.3, -5.2, -5.1]],
}

REPORT: dict[str, Any] = {
    "textgen-bench": 1,
    "date": "2026-01-02T03:04:05+00:00",
    "machine": {"processor": "A chip", "cores": 2},
    "options": {"temperature": 0.5, "quick": False},
    "models": [
        {
            "file": "model.onnx",
            "sha256": "0" * 64,
            "layers": 1,
            "units": 128,
            "vocabulary": 57,
            "sections": {
                "one-stream": {
                    "figures": {"seconds": {"native": SPREAD}},
                    "ratios": {"native / plain": ratio(0.1), "native / weights": ratio(1.2)},
                },
                "latency": {"figures": {"native": LATENCY}, "ratios": {"native p99 / p50": ratio(1.25)}},
                "many-streams": {
                    "figures": {"native": {"1": SPREAD, "4": SPREAD | {"median": 1e-6}}},
                    "ratios": {},
                },
            },
        }
    ],
}


def report(**ratios: float) -> dict[str, Any]:
    """Return a copy of the report with other ratios in the section "one-stream"."""
    changed = copy.deepcopy(REPORT)
    for name, value in ratios.items():
        changed["models"][0]["sections"]["one-stream"]["ratios"][f"native / {name}"] = ratio(value)
    return changed
