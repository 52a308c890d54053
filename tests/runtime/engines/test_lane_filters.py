"""The filters of samplers in both engines."""

import os
import signal
import threading
from typing import Any

import pytest
import textgen_runtime as textgen
from textgen_runtime import Sampler
from textgen_runtime.engines.base import Measurements
from textgen_runtime.engines.native import NativeEngine
from textgen_runtime.sampling.sampler import Filters

from tests.helpers.guides import ENGINES, engine_of, lane_of, sampler_of
from tests.helpers.native_engines import content_of, generate, lanes


@pytest.mark.parametrize("engine", ENGINES)
def test_the_filters_can_change_between_calls(engine: str) -> None:
    loaded = engine_of(engine)
    lane, changing = lane_of(loaded, length=30), sampler_of(3)
    texts = []
    for filters in (Filters(top_k=2), Filters(), Filters(presence_penalty=5.0)):
        changing.filters, changing.position = filters, 0
        (result,) = loaded.generate([lane._replace(sampler=changing)], 30)
        constant = sampler_of(3)
        constant.filters = filters
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
    # No sampler is locked.
    assert len(loaded.generate([fitting], 5)[0].tokens) == 5
    wrong.sampler.filters = Filters()
    assert len(loaded.generate([wrong], 5)[0].tokens) == 5


@pytest.mark.skipif(not hasattr(os, "fork"), reason="os.fork is not available")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_process_forked_during_generate_has_the_filter_state_before_the_call() -> None:
    native = NativeEngine(content_of(59, 128, scale=0.1))
    filters: dict[str, Any] = {"frequency_penalty": 0.5, "mirostat_tau": 3.0}
    sampler, generating = Sampler(1.0, 1, **filters), threading.Event()
    expected = generate(native, [Sampler(1.0, 1, **filters)], 20)

    class Watched(Measurements):
        def __getattribute__(self, name: str) -> Any:
            # The engine reads this attribute just before it locks the sampler.
            if name == "latencies":
                generating.set()
            return super().__getattribute__(name)

    thread = threading.Thread(
        target=native.generate,
        args=(lanes(native, [sampler], 100_000), 100_000, Watched(latencies=True)),
    )
    thread.start()
    generating.wait()
    # The other thread meanwhile draws many tokens.
    generate(native, [Sampler(1.0, 2)], 5_000)
    child = os.fork()
    if not child:
        # The child must not continue the test run. The alarm ends a child that hangs.
        signal.alarm(60)
        try:
            os._exit(generate(native, [sampler], 20) != expected)
        finally:
            os._exit(2)
    thread.join()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
