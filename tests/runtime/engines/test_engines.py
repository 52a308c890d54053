"""Loaded models, and engines with any number of time steps and lanes."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import textgen_runtime as textgen
from textgen_runtime.model import EngineName

from tests.helpers.make_tiny_model import make_model
from tests.helpers.paths import TINY


def test_the_tiny_model_equals_the_output_of_its_script() -> None:
    expected, stored = make_model(), onnx.load(TINY)
    assert expected.graph == stored.graph
    assert list(expected.metadata_props) == list(stored.metadata_props)


def test_a_loaded_model_has_the_network_and_metadata_of_its_file(tiny: textgen.Model) -> None:
    assert (*tiny.engine.core.size[:2], tiny.engine.vocabulary_size) == (1, 4, 12)
    assert tiny.tokenizer.symbols == tuple("\n abcdehé€ж𝄞")
    assert tiny.prompts == ("abc", "dad had", "é€ж𝄞")
    assert tiny.training == {"corpus": "none: the weights are random"}


@pytest.mark.parametrize("threads", [0, -1])
def test_a_model_needs_one_thread_or_more(threads: int, tiny_path: Path) -> None:
    with pytest.raises(ValueError, match="threads"):
        textgen.load(tiny_path, threads=threads)
    assert textgen.load(tiny_path, threads=2).generate("abc", length=3, seed=0)


@pytest.mark.parametrize("engine", ["native", "onnxruntime"])
def test_last_only_returns_the_logits_after_the_last_token(engine: EngineName) -> None:
    loaded = textgen.load(TINY, engine=engine).engine
    for time, batch in ((1, 1), (7, 1), (5, 3)):
        tokens = np.random.default_rng(time).integers(loaded.vocabulary_size, size=(time, batch))
        logits, state = loaded.forward(tokens, loaded.initial_state(batch))
        last_logits, last_state = loaded.forward(tokens, loaded.initial_state(batch), last_only=True)
        assert last_logits.shape == (1, batch, loaded.vocabulary_size)
        np.testing.assert_allclose(last_logits[0], logits[-1], atol=1e-6)
        np.testing.assert_array_equal(last_state["hidden"], state["hidden"])
        np.testing.assert_array_equal(last_state["cell"], state["cell"])
