"""The model file of each cell, compared with torch in float64."""

import numpy as np
import pytest
import torch
from textgen_runtime.engine import NativeEngine
from textgen_runtime.onnxruntime import OnnxEngine
from textgen_train.networks_torch import CELLS, REGULARIZATION, Network

from tests.train.test_learner_torch import RECIPE, learner_of


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(("layers", "residual"), [(1, 0), (2, 0), (3, 1)])
@torch.no_grad()
def test_the_engines_compute_what_torch_computes(cell: str, layers: int, residual: int) -> None:
    recipe = {**RECIPE, "cell": cell, "layers": layers, "residual": residual}
    learner = learner_of(recipe | dict.fromkeys(REGULARIZATION, 0.0))
    for weight in learner._network.parameters():
        # Larger than the initial ones, so that errors in states and gates change the logits.
        weight.mul_(2)
    file = learner.model('{"corpus": "none"}')
    exact = Network(learner._corpus.vocabulary_size, learner._recipe).double().eval()
    exact.load_state_dict(learner._network.state_dict())
    tokens = np.random.default_rng(3).integers(learner._corpus.vocabulary_size, size=(60, 3))
    for engine in [OnnxEngine(file), *([NativeEngine(file)] if cell == "lstm" else [])]:
        state, expected_state = engine.initial_state(3), exact.first_state(3)
        for rows in np.split(tokens, [1, 2, 30]):
            logits, state = engine.forward(rows, state)
            outputs, expected_state = exact(torch.from_numpy(rows), expected_state)
            np.testing.assert_allclose(logits, exact.output(outputs).numpy(), atol=2e-5)
