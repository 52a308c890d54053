"""Saved generations with other descriptions."""

from pathlib import Path
from typing import Any

from textgen_runtime import Generation
from textgen_runtime.json_text import to_json


def rewrite(generation: Generation, path: Path, **changes: Any) -> None:
    """Save a generation with changed entries of its description."""
    description = {"prompt": generation.prompt, "sampling": generation.sampling.changed()} | changes
    path.write_bytes(generation.position.save(to_json(description).encode()))
