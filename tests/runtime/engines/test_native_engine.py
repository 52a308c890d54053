"""The native engine agrees with onnxruntime, and its loop agrees with single draws and steps."""

import math

import numpy as np
import pytest
from textgen_runtime import Sampler, Sampling
from textgen_runtime.engines.base import Lane
from textgen_runtime.engines.core import CoreNetwork
from textgen_runtime.engines.native import NativeEngine
from textgen_runtime.text.tokenizer import SpecialTokens

from tests.helpers.native_engines import KERNELS, assert_states_equal, content_of, engines, text_of


def test_logits_equal_those_of_onnxruntime_over_ten_thousand_steps() -> None:
    native, reference = engines(59, 32, 2, KERNELS[0])
    tokens = np.random.default_rng(1).integers(59, size=(10_000, 1))
    logits, _ = native.forward(tokens, native.initial_state())
    expected, _ = reference.forward(tokens, reference.initial_state())
    assert np.abs(logits - expected).max() < 1e-4


@pytest.mark.parametrize("kernels", KERNELS)
def test_generate_equals_draws_and_forward_steps(kernels: str) -> None:
    native, _ = engines(65, 17, 2, kernels)
    text, sampler = native.new_stream(1), Sampler(1.0, 1)
    text.configure(Sampling(temperature=1.0))
    text.begin(True)
    native.feed(text, [1, 64, 3])
    logits, state = native.forward(np.array([[1], [64], [3]]), native.initial_state())
    (generated,) = native.generate([Lane(text, 100)], 100)
    for token in generated.tokens:
        assert sampler.draw(logits[-1, 0]) == token
        logits, state = native.forward(np.array([[token]]), state)
    np.testing.assert_array_equal(text.logits, logits[0, 0])
    assert_states_equal(text.state, state)


def test_unknown_and_begin_are_not_drawn() -> None:
    native = NativeEngine(content_of(5, 4), special=SpecialTokens(unknown=2, begin=0))
    # The logits of the caller do not mask the token.
    text = text_of(native)
    (generated,) = native.generate([Lane(text, 500)], 500)
    assert set(generated.tokens) == {1, 3, 4}
    assert np.flatnonzero(np.isneginf(text.logits)).tolist() == [0, 2]
    native.feed(text, [2, 1])
    assert np.flatnonzero(np.isneginf(text.logits)).tolist() == [0, 2]
    # forward accepts the tokens and does not mask them.
    logits, _ = native.forward(np.array([[2], [1]]), native.initial_state())
    assert np.isfinite(logits).all()
    for token in (-1, 5):
        with pytest.raises(ValueError, match=r"begin must be in \[0, 5\)"):
            NativeEngine(content_of(5, 4), special=SpecialTokens(begin=token))


def test_step_bytes_equals_the_size_of_the_padded_weights() -> None:
    core = CoreNetwork(content_of(64, 16))
    # The gates of a token, the recurrent weights, and the output layer with its bias.
    assert core.step_bytes == 4 * (64 + 64 * 16 + 64 * 16 + 64)
    assert math.isfinite(core.read_weights(2))
