"""The native engine runs networks with 8-bit weights exactly as their arithmetic is defined."""

from typing import Any

import numpy as np
import pytest
from textgen_runtime.engine import NativeEngine

from tests.helpers.int8_models import make_int8_model, quantize_model
from tests.helpers.int8_reference import Int8Network
from tests.helpers.make_tiny_model import make_model
from tests.helpers.native_engines import KERNELS, assert_states_equal
from tests.helpers.paths import TINY_INT8

each_kernels = pytest.mark.parametrize("kernels", KERNELS)


@each_kernels
@pytest.mark.parametrize(
    "sizes",
    [
        {"units": 20, "embedding": 12, "scale": 0.5},
        {"units": 37, "embedding": 19, "layers": 3, "residual": True, "scale": 0.3},
    ],
    ids=str,
)
def test_logits_and_states_equal_the_definition_to_the_last_bit(kernels: str, sizes: dict[str, Any]) -> None:
    content = make_int8_model(**sizes).SerializeToString()
    engine, reference = NativeEngine(content, kernels=kernels), Int8Network(content)
    tokens = np.random.default_rng(1).integers(0, 12, 60)
    logits, state = engine.forward(tokens[:, None], engine.initial_state())
    expected_state = reference.initial_state()
    expected = [reference.step(token, expected_state) for token in tokens]
    np.testing.assert_array_equal(logits[:, 0], expected)
    for name in state:
        np.testing.assert_array_equal(state[name][:, 0], expected_state[name])


@each_kernels
def test_a_state_beyond_the_bounds_of_its_layer_is_limited(kernels: str) -> None:
    """Also NaN has one result on all processors."""
    engine = NativeEngine(TINY_INT8.read_bytes(), kernels=kernels)
    zeros = engine.initial_state()["cell"]
    hidden = np.resize(np.array([1e30, -2.0, np.nan, 0.5], np.float32), zeros.shape)
    limited = np.where(np.isnan(hidden), np.float32(1), hidden.clip(-1, 1))
    token = np.array([[1]])
    logits, after = engine.forward(token, {"hidden": hidden, "cell": zeros})
    expected, expected_after = engine.forward(token, {"hidden": limited, "cell": zeros})
    np.testing.assert_array_equal(logits, expected)
    assert_states_equal(after, expected_after)


def test_the_network_has_8_bits_and_the_parameters_of_the_original() -> None:
    original = make_model(units=20, embedding=12, layers=2)
    contents = [model.SerializeToString() for model in (original, quantize_model(original))]
    natives = [NativeEngine(content) for content in contents]
    assert [native.core.bits for native in natives] == [32, 8]
    assert natives[0].core.size == natives[1].core.size
    assert natives[0].core.parameters == natives[1].core.parameters > 6000
