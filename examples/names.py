"""Make up names that are not in the list that a model was trained on.

textgen-train names.txt --records lines -o names-model
python examples/names.py names-model names.txt --count 12 --beginning Ma
"""

import argparse
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import textgen_runtime as textgen


def new_names(model: textgen.Model, known: list[str], beginning: str = "") -> Iterator[str]:
    """Draw 100 batches of names, and yield the new ones. A batch is faster than single names."""
    names, beginning = {"", *known}, model.metadata.normalize(beginning)
    for _ in range(100):
        for rest in model.generate([beginning] * 64, temperature=0.8):
            if (name := beginning + rest) not in names:
                names.add(name)
                yield name


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Make up names.")
    parser.add_argument("model", help="a model that was trained with --records lines")
    parser.add_argument("names", type=Path, help="the known names, one on each line")
    parser.add_argument("--count", type=int, default=12, help="number of names")
    parser.add_argument("--beginning", default="", help="the first letters of each name")
    options = parser.parse_args()
    try:
        if (model := textgen.load(options.model)).metadata.records is None:
            sys.exit(f"names.py: {options.model} is not a model of records: train one with --records lines")
        known = model.metadata.normalize(options.names.read_text(encoding="utf-8")).splitlines()
        print(*islice(new_names(model, known, options.beginning), options.count), sep="\n")
    except (textgen.TextgenError, OSError) as error:
        sys.exit(f"names.py: {error}")
