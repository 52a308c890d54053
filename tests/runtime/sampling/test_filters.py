"""``Filters`` checks the parameters of the filters, and is an immutable value."""

import copy
import math
import pickle
from typing import Any

import pytest
from textgen_runtime import Filters, Sampler, SamplingError

# One value of each parameter that turns a filter on.
ON: list[dict[str, Any]] = [
    {"top_k": 3},
    {"typical_p": 0.9},
    {"top_p": 0.9},
    {"min_p": 0.1},
    {"repetition_penalty": 1.2},
    {"frequency_penalty": -0.5},
    {"presence_penalty": 0.5},
    {"mirostat_tau": 3.0},
    {"logit_bias": {2: -math.inf}},
]
POSITIVE = "must be more than 0 and at most"
OUT_OF_RANGE: list[tuple[str, Any, str]] = [
    ("top_k", -1, "must be from 0 to 2147483647, not -1"),
    ("top_k", 2**31, "must be from 0 to"),
    ("top_k", 10**400, "must be from 0 to"),
    *[(name, bad, f"{POSITIVE} 1, not") for name in ("typical_p", "top_p") for bad in (0, -0.1, 1.01)],
    ("min_p", -0.01, "must be from 0 to 1, not -0.01"),
    ("min_p", 1.5, "must be from 0 to 1, not 1.5"),
    ("repetition_penalty", 0, f"{POSITIVE} 100, not 0"),
    ("repetition_penalty", 101, f"{POSITIVE} 100, not 101"),
    *[
        (f"{name}_penalty", bad, "must be from -100 to 100")
        for name in ("frequency", "presence")
        for bad in (-101, 101)
    ],
    ("penalty_window", 0, "must be from 1 to 1024, not 0"),
    ("penalty_window", 1025, "must be from 1 to 1024, not 1025"),
    ("mirostat_tau", -1, "must be from 0 to 100, not -1"),
    ("mirostat_tau", 100.5, "must be from 0 to 100, not 100.5"),
    ("mirostat_eta", 0, f"{POSITIVE} 1, not 0"),
    ("mirostat_eta", 2, f"{POSITIVE} 1, not 2"),
]
REAL = [
    "typical_p",
    "top_p",
    "min_p",
    "repetition_penalty",
    "frequency_penalty",
    "presence_penalty",
    "mirostat_tau",
    "mirostat_eta",
]


def test_no_filter_is_on_by_default() -> None:
    filters = Filters()
    assert not filters.active
    assert filters.as_dict() == {
        "top_k": 0,
        "typical_p": 1.0,
        "top_p": 1.0,
        "min_p": 0.0,
        "repetition_penalty": 1.0,
        "frequency_penalty": 0.0,
        "presence_penalty": 0.0,
        "penalty_window": 64,
        "mirostat_tau": 0.0,
        "mirostat_eta": 0.1,
        "logit_bias": (),
    }
    assert not Filters(penalty_window=3, mirostat_eta=0.5, logit_bias={4: 0.0}).active
    assert Filters(logit_bias={4: 0.0}) == filters


@pytest.mark.parametrize("options", ON, ids=lambda options: next(iter(options)))
def test_each_parameter_turns_a_filter_on(options: dict[str, Any]) -> None:
    assert Filters(**options).active


@pytest.mark.parametrize(("name", "bad", "message"), OUT_OF_RANGE)
def test_a_parameter_out_of_range_is_an_error_of_one_line(name: str, bad: Any, message: str) -> None:
    for make in (Filters, Sampler):
        with pytest.raises(SamplingError, match=f"^{name} {message}") as caught:
            make(**{name: bad})
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", REAL)
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, 10**400])
def test_a_parameter_that_is_not_finite_is_an_error(name: str, bad: float) -> None:
    with pytest.raises(SamplingError, match=f"^{name} must be"):
        Filters(**{name: bad})  # type: ignore[arg-type]


@pytest.mark.parametrize("name", [*REAL, "top_k", "penalty_window"])
def test_a_parameter_of_the_wrong_type_is_a_type_error(name: str) -> None:
    for bad in ("1", None, [1]):
        with pytest.raises(TypeError):
            Filters(**{name: bad})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("logit_bias", "message"),
    [
        ({-1: 1.0}, "a token of logit_bias must be from 0 to"),
        ({2**31: 1.0}, "a token of logit_bias must be from 0 to"),
        (
            {3: 100.5},
            "the logit bias of token 3 must be from -100 to 100, or -inf to forbid the token, not 100.5",
        ),
        ({3: -101}, "the logit bias of token 3 must be"),
        ({3: math.nan}, "the logit bias of token 3 must be"),
        ({3: math.inf}, "the logit bias of token 3 must be"),
    ],
)
def test_a_bias_out_of_range_is_an_error(logit_bias: dict[int, float], message: str) -> None:
    with pytest.raises(SamplingError, match=f"^{message}"):
        Filters(logit_bias=logit_bias)


def test_a_bias_of_the_wrong_type_is_a_type_error() -> None:
    bad: Any
    for bad in (5, {"a": 1.0}, {1: "a"}, {1.5: 1.0}, [3]):
        with pytest.raises(TypeError):
            Filters(logit_bias=bad)


def test_an_unknown_parameter_is_a_type_error() -> None:
    for make in (Filters, Sampler):
        with pytest.raises(TypeError, match="topk"):
            make(topk=3)  # type: ignore[call-arg]


@pytest.mark.parametrize("options", [{"top_k": 3}, {"typical_p": 0.9}, {"top_p": 0.9}, {"min_p": 0.1}])
def test_mirostat_and_a_truncation_contradict_each_other(options: dict[str, Any]) -> None:
    with pytest.raises(SamplingError, match=f"^mirostat_tau takes the place of {next(iter(options))}: turn"):
        Filters(mirostat_tau=3.0, **options)
    with pytest.raises(SamplingError, match="takes the place of"):
        Filters(mirostat_tau=3.0).replace(**options)
    assert Filters(mirostat_tau=3.0, repetition_penalty=1.1, logit_bias={1: 2.0}).active


def test_the_biases_are_sorted_pairs() -> None:
    filters = Filters(logit_bias={7: 1, 2: -math.inf, 3: 0.0})
    assert filters.logit_bias == ((2, -math.inf), (7, 1.0))
    assert Filters(logit_bias=[(7, 1.0), (2, -math.inf)]) == filters


def test_filters_are_an_immutable_value() -> None:
    filters = Filters(top_k=40, top_p=0.9, logit_bias={1: 2.0})
    assert filters == Filters(40, top_p=0.9, logit_bias=((1, 2.0),)) != Filters(top_k=40)
    assert filters != 40
    assert hash(filters) == hash(Filters(40, top_p=0.9, logit_bias={1: 2.0}))
    assert repr(filters) == "Filters(top_k=40, top_p=0.9, logit_bias=((1, 2.0),))"
    assert repr(Filters()) == "Filters()"
    assert filters.replace(top_p=1.0) == Filters(top_k=40, logit_bias={1: 2.0})
    assert Filters(**filters.as_dict()) == filters
    for other in (copy.copy(filters), copy.deepcopy(filters), pickle.loads(pickle.dumps(filters))):  # noqa: S301
        assert other == filters
    with pytest.raises(AttributeError):
        filters.top_k = 3  # type: ignore[misc]
    with pytest.raises(SamplingError):
        filters.replace(top_k=-1)


def test_the_repr_of_a_sampler_shows_its_filters() -> None:
    assert repr(Sampler(0.7, 3)) == "Sampler(temperature=0.7, seed=3, substream=0)"
    assert repr(Sampler(0.7, 3, top_k=4)) == "Sampler(temperature=0.7, seed=3, substream=0, top_k=4)"
