"""The filters of samplers in both engines."""

import copy
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import textgen_runtime as textgen
from textgen_runtime import Sampling

from tests.helpers.guides import ENGINES, engine_of, lane_of, sampler_of


@pytest.mark.parametrize("engine", ENGINES)
def test_the_filters_can_change_between_calls(engine: str) -> None:
    loaded = engine_of(engine)
    lane, changing = lane_of(loaded, length=30), sampler_of(3)
    texts = []
    options: dict[str, Any]
    for options in ({"top_k": 2}, {}, {"presence_penalty": 5.0}):
        changing.sampling, changing.position = Sampling(temperature=1.0, **options), 0
        (result,) = loaded.generate([lane._replace(sampler=changing)], 30)
        constant = sampler_of(3, **options)
        assert result.tokens == loaded.generate([lane._replace(sampler=constant)], 30)[0].tokens
        texts.append(result.tokens)
    assert texts[0] != texts[1] != texts[2] != texts[0]


@pytest.mark.parametrize("engine", ENGINES)
def test_filters_that_do_not_fit_the_vocabulary_are_an_error(engine: str) -> None:
    loaded = engine_of(engine)
    fitting, wrong = lane_of(loaded), lane_of(loaded, logit_bias={12: 1.0})
    for both in ([wrong, fitting], [fitting, wrong]):
        with pytest.raises(textgen.SamplingError, match="logit_bias"):
            loaded.generate(both, 5)
    # No sampler is still in use.
    assert len(loaded.generate([fitting], 5)[0].tokens) == 5
    wrong.sampler.logit_bias = {}
    assert len(loaded.generate([wrong], 5)[0].tokens) == 5


def test_a_sampler_that_draws_refuses_every_other_use() -> None:
    native, sampler = engine_of("native"), sampler_of(top_k=3)
    refused = []

    def use(change: Callable[[], object]) -> None:
        with pytest.raises(RuntimeError, match="another thread uses this sampler: lock it, or give each"):
            change()
        refused.append(change)

    class Length:
        """A length that is read after the sampler of the first lane is in use."""

        def __index__(self) -> int:
            use(lambda: sampler.draw([0.0] * 12))
            use(lambda: sampler.draw_batch(np.zeros((1, 12))))
            use(lambda: sampler.probabilities([0.0] * 12))
            use(lambda: sampler.accept(1))
            use(lambda: sampler.filter_state)
            use(lambda: copy.copy(sampler))
            for name, value in (
                ("sampling", Sampling()),
                ("logit_bias", {}),
                ("filter_state", None),
                ("position", 0),
            ):
                use(partial(setattr, sampler, name, value))
            use(lambda: native.generate([lane_of(native)._replace(sampler=sampler)], 1))
            raise ValueError("no length")

    length: Any = Length()
    lanes = [lane_of(native)._replace(sampler=sampler), lane_of(native, seed=2)._replace(length=length)]
    with pytest.raises(ValueError, match="no length"):
        native.generate(lanes, 5)
    assert len(refused) == 11
    # The error ends the call, and so the use.
    assert sampler.draw([0.0] * 12) < 12
