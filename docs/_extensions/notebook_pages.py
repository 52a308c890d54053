"""Makes pages of Jupyter notebooks, with the outputs that they contain.

MyST-NB does the same and more, such as the execution of notebooks, but requires 40 more packages.
"""

import json
from typing import Any

from sphinx.application import Sphinx

SUFFIX = ".ipynb"


def convert(app: Sphinx, docname: str, source: list[str]) -> None:
    """Handle ``source-read``: replace the JSON of a notebook by Markdown."""
    if app.env.doc2path(docname).suffix == SUFFIX:
        cells = json.loads(source[0])["cells"]
        source[0] = "\n\n".join(part for cell in cells for part in cell_parts(cell)) + "\n"


def cell_parts(cell: dict[str, Any]) -> list[str]:
    """Return the Markdown of a cell and of its outputs."""
    text = "".join(cell["source"])
    if cell["cell_type"] == "markdown":
        return [text]
    # Commands of IPython, such as %matplotlib, are neither Python nor of interest to a reader.
    program = [line for line in text.splitlines() if not line.startswith("%")]
    parts = [fenced("\n".join(program).strip(), "python")]
    for output in cell["outputs"]:
        data = output.get("data", {"text/plain": output.get("text", "")})
        if "image/png" in data:
            image = "".join(data["image/png"].split())
            parts.append(f"![output of the program above](data:image/png;base64,{image})")
        else:
            text = fenced("".join(data["text/plain"]).rstrip("\n"), "text")
            # A quotation, to distinguish the output from the program.
            parts.append("\n".join(f"> {line}" for line in text.splitlines()))
    return parts


def fenced(text: str, language: str) -> str:
    """Return a code block; the fence is longer than any in the text."""
    return f"``````{language}\n{text}\n``````"


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension."""
    app.add_source_suffix(SUFFIX, "markdown")
    # Before the links are adapted.
    app.connect("source-read", convert, priority=400)
    return {"parallel_read_safe": True}
