"""Modification of saved generations."""

import json
from pathlib import Path
from typing import Any

import numpy as np


def rewrite(path: Path, **changes: Any) -> None:
    """Change the arrays of a saved generation, or fields of its description."""
    with np.load(path) as content:
        arrays = dict(content)
    description = json.loads(str(arrays["description"]))
    description |= {name: changes.pop(name) for name in list(changes) if name in description}
    np.savez(path, **(arrays | {"description": np.array(json.dumps(description))} | changes))
