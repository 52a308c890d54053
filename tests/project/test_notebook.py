"""The notebook docs/textbook.ipynb: its cells run, its results are right, and its outputs are stored."""

import json
from typing import Any

import nbformat
import pytest
from nbformat import NotebookNode

from tests.helpers.notebooks import execute, read_notebook

pytestmark = pytest.mark.tier("release")

# Added to the notebook, to read the variables that its cells leave.
FACTS = """
import json

print(json.dumps({
    "files": sorted(str(path) for path in Path().rglob("*.onnx")),
    "reweighted": bool(np.allclose(textgen.reweight(original, 0.2), comparison.probabilities[1])),
    "entropies": comparison.entropies.tolist(),
    "held_out_nats": held_out_nats,
    "shares": list(shares.values()),
    "measured": list(seconds),
    "from_character": float(from_character),
    "from_window": float(from_window),
}))
"""


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory) -> NotebookNode:
    """The notebook with new outputs, and with a last cell that prints facts as JSON."""
    notebook = read_notebook()
    notebook.cells.append(nbformat.v4.new_code_cell(FACTS))
    execute(notebook, tmp_path_factory.mktemp("notebook"))
    return notebook


@pytest.fixture
def facts(executed: NotebookNode) -> dict[str, Any]:
    """What the cells have computed."""
    values: dict[str, Any] = json.loads(executed.cells[-1].outputs[0].text)
    return values


def test_every_cell_has_the_stored_kinds_of_output(executed: NotebookNode) -> None:
    def kinds(notebook: NotebookNode) -> list[list[str]]:
        cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
        return [sorted(output.get("data", {"text": ""})) for cell in cells for output in cell.outputs]

    assert kinds(read_notebook()) == kinds(executed)[:-1]


def test_the_network_learns_and_its_file_is_written(facts: dict[str, Any]) -> None:
    assert facts["files"] == ["textbook-model/model.onnx"]
    # A uniform distribution over the vocabulary has 4.3 nats; letter frequencies alone have about 3.
    assert facts["held_out_nats"] < 2


def test_higher_temperatures_have_more_entropy_and_fewer_words_of_the_corpus(facts: dict[str, Any]) -> None:
    assert facts["reweighted"]
    assert facts["entropies"] == sorted(facts["entropies"])
    assert facts["shares"] == sorted(facts["shares"], reverse=True)
    assert facts["shares"][0] > 0.9 > facts["shares"][-1]


def test_the_carried_state_equals_the_complete_text(facts: dict[str, Any]) -> None:
    assert facts["from_character"] < 1e-5
    assert 0 < facts["from_window"] < 0.1
    assert facts["measured"] == ["window of 60, torch", "window of 60, engine", "state carried, engine"]
