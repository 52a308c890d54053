"""The example that reads a model file and generates, against the engine."""

from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
import textgen_runtime as textgen

from tests.helpers.commands import Captured
from tests.helpers.documents import blocks
from tests.helpers.examples import EXAMPLES, import_example, run_example
from tests.helpers.make_tiny_model import make_model
from tests.helpers.paths import FORMAT_2, ROOT, TINY_INT8

BUNDLED = ROOT / "runtime" / "textgen_runtime" / "bundled_models" / "nietzsche-float32.onnx"


def write_model(path: Path, *, layers: int, units: int, residual: bool = False) -> Path:
    """Write a model with random weights."""
    model = make_model(scale=1.3, units=units, embedding=8, layers=layers, residual=residual)
    path.write_bytes(model.SerializeToString())
    return path


@pytest.mark.parametrize(
    ("layers", "units", "prompt"),
    [(0, 0, "the will to "), (0, 0, "?"), (1, 24, "a"), (2, 16, "a")],
    ids=["bundled, words", "bundled, a mark", "one layer", "two layers"],
)
def test_its_likeliest_text_is_that_of_the_engine(  # noqa: PLR0913, PLR0917 (fixtures)
    layers: int, units: int, prompt: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    """The random models have texts that do not repeat themselves soon."""
    path = write_model(tmp_path / "random.onnx", layers=layers, units=units) if layers else BUNDLED
    _, out = run_example("one_page", monkeypatch, capsys, path, prompt, "0")
    assert out == prompt + textgen.load(path).generate(prompt, length=400, temperature=0.0) + "\n"


def test_its_draws_have_the_probabilities_of_the_engine() -> None:
    logits = np.array([1.0, -2.0, 0.5], np.float32)
    random = Mock(**{"choice.return_value": 2})
    assert import_example("one_page").draw(logits, 0.7, random) == 2
    (count,), keywords = random.choice.call_args
    assert count == 3
    assert keywords["p"] == pytest.approx(textgen.softmax(logits, temperature=0.7))


@pytest.mark.parametrize(
    "path", [*sorted(FORMAT_2.glob("*.onnx")), TINY_INT8, None], ids=lambda path: path and path.stem
)
def test_it_refuses_a_model_that_it_does_not_compute(
    path: Path | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    path = path or write_model(tmp_path / "residual.onnx", layers=2, units=4, residual=True)
    code, _ = run_example("one_page", monkeypatch, capsys, path, "a", "0")
    assert code == "one_page.py: the model must be an LSTM of format 1, without residual connections"


def test_a_document_shows_the_complete_program() -> None:
    """Each part stands in the program, and the parts have all of its lines except those of its docstring."""
    program = (EXAMPLES / "one_page.py").read_text(encoding="utf-8").partition('"""\n')[2]
    parts = blocks((ROOT / "docs" / "how-it-works.md").read_text(encoding="utf-8"), "python")
    assert all(part in program for part in parts)
    assert sorted(filter(None, "".join(parts).splitlines())) == sorted(filter(None, program.splitlines()))
