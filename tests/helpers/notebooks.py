"""Execution of the notebook. As a program, it writes the outputs into ``docs/textbook.ipynb``.

python -m tests.helpers.notebooks
"""

import os
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

from tests.helpers.paths import ROOT

TEXTBOOK = ROOT / "docs" / "textbook.ipynb"
CELL_SECONDS = 300


def read_notebook() -> NotebookNode:
    """Return the notebook with its stored outputs."""
    notebook: NotebookNode = nbformat.read(TEXTBOOK, as_version=4)
    return notebook


def execute(notebook: NotebookNode, folder: Path) -> None:
    """Execute all cells in a new process, and replace their outputs.

    Args:
        notebook: The notebook.
        folder: The working directory of the process.

    Raises:
        CellExecutionError: If a cell raises an exception.
    """
    # IPython would create its profile in the home folder.
    os.environ["IPYTHONDIR"] = str(folder / "ipython")
    client = NotebookClient(
        notebook,
        timeout=CELL_SECONDS,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
        record_timing=False,
        coalesce_streams=True,
    )
    client.execute()


if __name__ == "__main__":
    executed = read_notebook()
    with tempfile.TemporaryDirectory() as temporary:
        execute(executed, Path(temporary))
    nbformat.write(executed, TEXTBOOK)
