"""A running text shows what the core keeps of it, and checks what it is given.

The tests of both engines are in ``test_lanes.py``; ``tests/core`` tests how texts behave.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import textgen_runtime as textgen
from textgen_runtime.engines.base import Lane, State, Stream
from textgen_runtime.engines.core import Shape, read_saved
from textgen_runtime.errors import SavedGenerationError
from textgen_runtime.sampling.tables import Stops
from textgen_runtime.text.tokenizer import NO_SPECIAL_TOKENS, SpecialTokens

from tests.helpers.lanes import ALL_FILTERS, DOTTED, ENGINES, GROUPS, engine_of, started, stops_of
from tests.helpers.native_engines import content_of_text, text_of

each_engine = pytest.mark.parametrize("engine", ENGINES)
STATE = {"hidden": (1, 4), "cell": (1, 4)}


def test_the_random_numbers_can_be_read_and_changed() -> None:
    text = started(engine_of("native"), seed=2**127 + 1)
    assert (text.seed, text.substream, text.drawn) == (2**127 + 1, 0, 0)
    text.reseed(5, 2**32 - 1, 2**63 - 1)
    assert (text.seed, text.substream, text.drawn) == (5, 2**32 - 1, 2**63 - 1)
    for wrong in ((-1,), (2**128,), (1, -1), (1, 2**32), (1, 0, -1), (1, 0, 2**63)):
        with pytest.raises(textgen.SamplingError):
            text.reseed(*wrong)
    assert (text.seed, text.substream, text.drawn) == (5, 2**32 - 1, 2**63 - 1)
    with pytest.raises(textgen.SamplingError, match="seed must be from 0 to"):
        engine_of("native").new_stream(-1)


def test_the_tables_of_a_text_can_be_read_and_changed() -> None:
    engine = engine_of("native")
    text = started(engine, stops_of([1, 2]), DOTTED.constraint())
    assert (text.stops, text.constraint) == (stops_of([1, 2]), DOTTED.constraint())
    assert (text.ending, text.at_end, text.is_complete, text.tokens_to_match) == (None, False, False, 4)
    text.configure(textgen.Sampling(), constraint=GROUPS.constraint())
    assert (text.stops, text.tokens_to_match) == (None, 2)
    engine.generate([Lane(text, 1)], 1)
    assert (text.ending, text.tokens_to_match) == ("length", 1)
    # An equal constraint goes on.
    text.configure(textgen.Sampling(temperature=0.1), constraint=GROUPS.constraint())
    assert text.tokens_to_match == 1
    text.begin_constraint()
    assert (text.ending, text.tokens_to_match) == (None, 2)
    text.mark_masked()
    assert (text.ending, text.is_complete) == ("masked", True)
    text.begin(False)
    assert (text.ending, text.is_complete) == (None, False)
    with pytest.raises(AttributeError):
        text.stops = None  # type: ignore[misc]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((textgen.Sampling(), [(12, 1.0)]), ValueError, r"each token must be in \[0, 12\)"),
        ((textgen.Sampling(), [(-1, 1.0)]), ValueError, "each token"),
        ((textgen.Sampling(), [(1.5, 1.0)]), TypeError, "."),
        ((textgen.Sampling(), [(1, "a")]), TypeError, "."),
        (
            (textgen.Sampling(), (), Stops([[1]], 13)),
            ValueError,
            "the stop texts must be of 12 tokens, not 13",
        ),
        ((textgen.Sampling(), (), DOTTED.constraint()), TypeError, "."),
        ((textgen.Sampling(), (), None, DOTTED.constraint(13)), ValueError, "must be of 12 tokens, not 13"),
        ((textgen.Sampling(), (), None, stops_of([1])), TypeError, "."),
        (({"temperature": 1.0},), TypeError, "must be a Sampling, not dict"),
    ],
)
def test_parameters_that_do_not_fit_the_model_change_nothing(
    arguments: Any, error: type[Exception], message: str
) -> None:
    text = started(engine_of("native"), stops_of([1, 2]), DOTTED.constraint(), **ALL_FILTERS)
    before = content_of_text(text)
    with pytest.raises(error, match=message):
        text.configure(*arguments)
    assert (text.stops, text.constraint) == (stops_of([1, 2]), DOTTED.constraint())
    assert content_of_text(text) == before


@each_engine
def test_feeding_runs_the_network_from_the_state_of_the_text(engine: str) -> None:
    loaded = engine_of(engine)
    text, parts = started(loaded, first=3), started(loaded, first=3)
    loaded.feed(text, [5, 1])
    logits, state = loaded.forward(np.array([[3], [5], [1]]), loaded.initial_state())
    np.testing.assert_allclose(text.logits, logits[-1, 0], atol=1e-6)
    for name in state:
        np.testing.assert_allclose(text.state[name], state[name], atol=1e-6)
    for token in (5, 1):
        loaded.feed(parts, (token,))
    np.testing.assert_allclose(parts.logits, text.logits, atol=1e-6)


@each_engine
@pytest.mark.parametrize(
    ("tokens", "error"),
    [
        ([], ValueError),
        ([12], ValueError),
        ([1, -1], ValueError),
        ([2**63], ValueError),
        ([1.5], TypeError),
        (1, TypeError),
    ],
)
def test_tokens_outside_the_vocabulary_cannot_be_fed(
    engine: str, tokens: Any, error: type[Exception]
) -> None:
    loaded = engine_of(engine)
    text = started(loaded)
    before = content_of_text(text)
    with pytest.raises(error):
        loaded.feed(text, tokens)
    assert content_of_text(text) == before


@each_engine
def test_a_text_of_another_model_is_an_error(engine: str) -> None:
    loaded, text = engine_of(engine), started(engine_of(engine))
    other = Stream(Shape(STATE, 12, NO_SPECIAL_TOKENS, False))
    with pytest.raises(ValueError, match="the text is of another model"):
        loaded.feed(other, [1])
    with pytest.raises(ValueError, match="the text is of another model"):
        text.continue_from(other)
    wrong: Any = object()
    with pytest.raises(TypeError, match="the text must be a Stream, not object"):
        loaded.feed(wrong, [1])


def test_engines_of_equal_models_may_exchange_their_texts() -> None:
    """A generation of another process has an engine of its own."""
    native, onnx = map(engine_of, ENGINES)
    text = text_of(onnx, 3)
    (result,) = native.generate([Lane(text, 5)], 5)
    assert [*result.tokens] == [*onnx.generate([Lane(text_of(native, 3), 5)], 5)[0].tokens]


def test_the_state_is_a_copy_and_the_logits_are_shared() -> None:
    text = started(engine_of("native"))
    state, logits = text.state, np.asarray(text.logits)
    before = state["hidden"].copy()
    text.begin(True)
    np.testing.assert_array_equal(state["hidden"], before)
    assert not text.state["hidden"].any()
    text.state = state
    np.testing.assert_array_equal(text.state["hidden"], before)
    text.logits = np.arange(12, dtype=np.float32)
    assert logits.tolist() == list(range(12))
    del text
    logits[3] = 7.0
    assert logits.tolist() == [0, 1, 2, 7, *range(4, 12)]


@pytest.mark.parametrize(
    "wrong", [np.zeros(11, np.float32), np.zeros(12), np.zeros((1, 12), np.float32), None]
)
def test_logits_of_another_shape_or_type_are_an_error(wrong: Any) -> None:
    text = started(engine_of("native"))
    with pytest.raises(ValueError, match=r"the logits must be contiguous float32 of shape \(12,\)"):
        text.logits = wrong
    with pytest.raises(ValueError, match="the state"):
        text.state = State({"hidden": wrong, "cell": wrong})


def test_a_text_that_is_not_fed_has_no_probabilities_and_no_continuation() -> None:
    text, other = engine_of("native").new_stream(), started(engine_of("native"))
    for use in (lambda: text.probabilities(False), lambda: other.continue_from(text)):
        with pytest.raises(textgen.PromptError, match="there is no text to continue: feed a text first"):
            use()


def test_a_text_continues_another_one_with_its_own_parameters() -> None:
    engine = engine_of("native")
    prompt, text = started(engine, first=5), started(engine, seed=9, top_k=2)
    text.continue_from(prompt)
    expected = started(engine, seed=9, top_k=2, first=5)
    assert content_of_text(text) == content_of_text(expected)


def test_a_text_ends_before_a_stop_text_in_the_tokens_that_are_held_back() -> None:
    text = started(engine_of("native"), stops_of([2, 3, 4]))
    text.hold(range(12))
    (result,) = engine_of("native").generate([Lane(text, 5)], 5)
    assert (result.generated, [*result.tokens], result.ending, result.stop) == (0, [0, 1], "stop", [2, 3, 4])
    assert text.held == []


def test_tokens_that_are_held_back_can_be_taken_and_given() -> None:
    text = started(engine_of("native"), stops_of([3, 2, 1]))
    text.hold(range(12))
    assert text.copy().finish() == list(range(12))
    (result,) = engine_of("native").generate([Lane(text, 1)], 1)
    assert [*result.tokens][:12] == list(range(12))
    text.hold([7] * 1024)
    assert text.finish() == [7] * 1024
    assert text.finish() == []
    wrong: Any
    for wrong, error in (
        ([0] * 1025, ValueError),
        ([12], ValueError),
        ([-1], ValueError),
        (["a"], TypeError),
    ):
        with pytest.raises(error):
            text.hold(wrong)
    assert text.finish() == []


@pytest.mark.parametrize(
    ("between", "ending"),
    [
        (lambda text: text.configure(textgen.Sampling(), stops=stops_of([1, 2])), "stop"),
        (lambda text: text.configure(textgen.Sampling(), stops=stops_of([1, 2], [3])), "stop"),
        (lambda text: text.configure(textgen.Sampling(), stops=stops_of([3, 2])), "length"),
        (Stream.finish, "length"),
    ],
)
def test_stop_texts_that_are_set_again_begin_with_what_is_held_back(
    between: Callable[[Stream], object], ending: str
) -> None:
    engine = engine_of("native")
    text = text_of(engine)
    text.configure(textgen.Sampling(), stops=stops_of([1, 2]))
    text.logits = np.where(np.arange(12) == 1, 99, 0).astype(np.float32)
    engine.generate([Lane(text, 1)], 1)
    assert text.held == [1]
    between(text)
    text.logits = np.where(np.arange(12) == 2, 99, 0).astype(np.float32)
    assert engine.generate([Lane(text, 1)], 1)[0].ending == ending


def test_a_saved_text_that_cannot_be_resumed_changes_nothing() -> None:
    text = started(engine_of("native"), constraint=GROUPS.constraint(), top_k=3)
    saved, plain = content_of_text(text), content_of_text(started(engine_of("native")))
    # The last number of the head of the block: how many tokens are held back.
    held = 96 + 8 * (sum(parameter.in_core for parameter in textgen.PARAMETERS.values()) + 17)
    assert saved[held : held + 8] == bytes(8)
    for wrong, message in (
        (b"", "this is not a saved text"),
        (saved[:-1], "the saved text is damaged"),
        (saved[:held] + b"\xff\xff\xff" + saved[held + 3 :], "the saved text is damaged"),
        (plain, "another version of textgen-onnx compiled the constraint"),
    ):
        with pytest.raises(SavedGenerationError, match=message):
            text.resume(wrong)
        assert content_of_text(text) == saved
    with pytest.raises(SavedGenerationError, match="has a constraint that was not saved with it"):
        started(engine_of("native")).resume(saved)
    for call in (
        text.resume,
        read_saved,
        lambda data: text.save(data, b""),
        lambda data: text.save(b"", data),
    ):
        with pytest.raises(TypeError):
            call(None)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="the hash of a model has 32 bytes, not 31"):
        text.save(bytes(31), b"")


@pytest.mark.parametrize(
    ("state", "vocabulary", "special", "error"),
    [
        (STATE, 0, NO_SPECIAL_TOKENS, ValueError),
        (STATE, 2**31, NO_SPECIAL_TOKENS, ValueError),
        (STATE, 2**63, NO_SPECIAL_TOKENS, OverflowError),
        (STATE, 12, SpecialTokens(end=12), ValueError),
        ({"hidden": (2**31, 2**31)}, 12, NO_SPECIAL_TOKENS, MemoryError),
        ({"hidden": (-1, 4)}, 12, NO_SPECIAL_TOKENS, MemoryError),
        (None, 12, NO_SPECIAL_TOKENS, TypeError),
    ],
)
def test_a_shape_that_no_model_has_is_an_error(
    state: Any, vocabulary: int, special: SpecialTokens, error: type[Exception]
) -> None:
    with pytest.raises(error):
        Stream(Shape(state, vocabulary, special, False))
