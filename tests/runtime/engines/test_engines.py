"""A loaded model knows its contract, and its engines read any number of tokens and lanes."""

import re
from pathlib import Path

import numpy as np
import onnx
import pytest
import textgen_runtime as textgen
from textgen_runtime.engines.onnxruntime import OnnxEngine
from textgen_runtime.engines.opening import EngineName

from tests.helpers.make_tiny_model import make_model
from tests.helpers.paths import TINY


def test_the_tiny_model_is_what_its_script_makes() -> None:
    made, kept = make_model(), onnx.load(TINY)
    assert made.graph == kept.graph
    assert list(made.metadata_props) == list(kept.metadata_props)


def test_a_loaded_model_knows_its_contract(tiny: textgen.Model) -> None:
    assert (*tiny.engine.network.recurrent, tiny.engine.vocabulary_size) == (1, 4, 12)
    assert tiny.tokenizer.symbols == tuple("\n abcdehé€ж𝄞")
    assert tiny.prompts == ("abc", "dad had", "é€ж𝄞")
    assert tiny.training == {"corpus": "none: the weights are random"}


@pytest.mark.parametrize("threads", [0, -1])
def test_threads(threads: int, tiny_path: Path) -> None:
    with pytest.raises(ValueError, match="threads"):
        textgen.load(tiny_path, threads=threads)
    assert textgen.load(tiny_path, threads=2).generate("abc", length=3, seed=0)


@pytest.mark.parametrize("layers", [1, 3])
def test_time_and_batch_are_free(layers: int) -> None:
    """One call over time equals single steps, and a row of a batch equals a stream alone."""
    engine = OnnxEngine(make_model(units=7, layers=layers).SerializeToString())
    assert engine.network.recurrent == (layers, 7)
    tokens = np.random.default_rng(1).integers(12, size=(9, 4))
    combined, state = engine.forward(tokens, engine.initial_state(4))
    for row in range(4):
        alone = engine.initial_state()
        for time in range(9):
            logits, alone = engine.forward(tokens[time : time + 1, row : row + 1], alone)
            np.testing.assert_allclose(logits[0, 0], combined[time, row], atol=1e-5)
        np.testing.assert_allclose(alone["hidden"][:, 0], state["hidden"][:, row], atol=1e-5)
        np.testing.assert_allclose(alone["cell"][:, 0], state["cell"][:, row], atol=1e-5)


def test_the_graph_is_clean() -> None:
    one = [node.op_type for node in make_model().graph.node]
    assert one == ["Gather", "LSTM", "Squeeze", "MatMul", "Add"]
    model = onnx.load(TINY)
    assert (model.ir_version, model.opset_import[0].version) == (9, 17)
    assert all(re.fullmatch(r"[a-z_0-9]+", node.name) for node in model.graph.node)
    assert not any(tensor.external_data for tensor in model.graph.initializer)


@pytest.mark.parametrize("engine", ["native", "onnxruntime"])
def test_the_last_logits_alone_are_those_of_the_last_token(engine: EngineName) -> None:
    opened = textgen.load(TINY, engine=engine).engine
    for time, batch in ((1, 1), (7, 1), (5, 3)):
        tokens = np.random.default_rng(time).integers(opened.vocabulary_size, size=(time, batch))
        logits, state = opened.forward(tokens, opened.initial_state(batch))
        last, after = opened.forward(tokens, opened.initial_state(batch), last_only=True)
        assert last.shape == (1, batch, opened.vocabulary_size)
        np.testing.assert_allclose(last[0], logits[-1], atol=1e-6)
        np.testing.assert_array_equal(after["hidden"], state["hidden"])
        np.testing.assert_array_equal(after["cell"], state["cell"])
