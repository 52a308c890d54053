"""Resume generations that JavaScript saved, for the tests of the JavaScript package.

``python -m tests.helpers.web_resume FOLDER MODELS`` reads ``FOLDER/NAME.MODEL`` for each saved generation.
The model is ``MODELS/MODEL.onnx``. It prints the further text of each as JSON, by the name of the file.
"""

import json
import sys
from pathlib import Path

import textgen_runtime as textgen

from tests.helpers.web_cases import with_novel


def further_text(path: Path, models: Path) -> list[str | None]:
    """Return the further text of a saved generation, and why it ends."""
    generation = textgen.resume(with_novel(textgen.load(models / f"{path.suffix[1:]}.onnx")), path)
    fed = generation.feed("cab") if generation.ended_record else ""
    return [fed + generation.take(60, finish=True), generation.ending]


if __name__ == "__main__":
    folder, models = map(Path, sys.argv[1:])
    json.dump({path.name: further_text(path, models) for path in folder.iterdir()}, sys.stdout)
