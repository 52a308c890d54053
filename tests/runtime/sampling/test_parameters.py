"""Sampling parameters can be passed as an object or as keywords."""

import json
import math
from typing import Any

import numpy as np
import pytest
from textgen_runtime import PARAMETERS, Model, Sampling, SamplingError
from textgen_runtime.options import SamplingOptions

# A value of each parameter that is not the default, and in another form where there is one.
VALUES: dict[str, Any] = {
    "temperature": 0.7,
    "top_k": 5,
    "typical_p": 0.9,
    "top_p": 0.8,
    "min_p": 0.05,
    "repetition_penalty": 1.1,
    "frequency_penalty": 0.1,
    "presence_penalty": 0.2,
    "penalty_window": 20,
    "mirostat_tau": 0.0,
    "mirostat_eta": 0.2,
    "logit_bias": (("a", 1.0), ("b", -2.0)),
    "allowed": ("a", "b", "c", "d"),
    "banned": ("d",),
    "min_length": 0,
    "stop": ("ab", "c"),
    "keep_stop": True,
    "match": None,
    "choices": None,
    "json_schema": None,
    "resample": 0,
    "max_copy": 30,
}

NUMBERS = [name for name, parameter in PARAMETERS.items() if parameter.kind in {"number", "whole"}]
# What a parameter is refused without.
NEEDED: dict[str, dict[str, Any]] = {"resample": {"match": "a"}}


def test_each_parameter_is_a_keyword(tiny: Model) -> None:
    assert set(SamplingOptions.__annotations__) == set(PARAMETERS) == set(VALUES)
    generation = tiny.with_novel("abc").start("abc", seed=1, **VALUES)
    assert generation.sampling == Sampling(**VALUES)
    for name, value in VALUES.items():
        assert getattr(generation.sampling, name) == value


def test_no_parameter_has_an_effect_by_default() -> None:
    assert Sampling().changed() == {"temperature": 0.5}
    for name, parameter in PARAMETERS.items():
        assert getattr(Sampling(), name) == parameter.default
        assert parameter.kind not in {"number", "whole"} or parameter.off in {parameter.default, None}


@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_is_accepted_within_its_limits_only(name: str) -> None:
    parameter, needed = PARAMETERS[name], NEEDED.get(name, {})
    is_whole, has_low = parameter.kind == "whole", "more than" not in parameter.requirement
    below, above = parameter.low - 1, parameter.high + 1
    kinds: list[Any] = [int, np.int64] if is_whole else [float, np.float64]
    inside = [parameter.low if has_low else 1e-9, parameter.default, parameter.high]
    for value in [kind(number) for kind in kinds for number in inside]:
        stored = getattr(Sampling(**needed | {name: value}), name)
        assert (type(stored), stored) == (kinds[0], value)
    outside = [below, above, -(10**400), 10**400] if is_whole else [below, -math.inf, math.inf, 10**400]
    if not is_whole:
        outside += [math.nan, *([] if has_low else [parameter.low])]
        outside += [math.nextafter(parameter.high, math.inf), math.nextafter(parameter.low, -math.inf)]
    for value in outside:
        with pytest.raises(SamplingError) as caught:
            Sampling(**needed | {name: value})
        assert str(caught.value).startswith(f"{name} must be {parameter.requirement}, not ")
        assert "\n" not in str(caught.value)
        assert caught.value.parameter == name
    kind = "an integer" if is_whole else "a number"
    for value in ["1", None, [1], *([1.5] if is_whole else [])]:
        with pytest.raises(TypeError, match=f"^{name} must be {kind}, not "):
            Sampling(**needed | {name: value})


def test_a_whole_number_has_no_fraction() -> None:
    assert not PARAMETERS["top_k"].accepts(2.5)


def test_texts_and_mappings_are_accepted_in_several_forms() -> None:
    sampling = Sampling(logit_bias={"b": -2, "a": 1}, allowed="abcda", banned="d", stop="ab")
    assert sampling.logit_bias == VALUES["logit_bias"]
    assert sampling.allowed == VALUES["allowed"]
    assert sampling.banned == ("d",)
    assert Sampling(logit_bias={"a": 100, "b": -100}).logit_bias == (("a", 100.0), ("b", -100.0))
    assert sampling.stop == ("ab",)
    assert Sampling(json_schema={"type": "integer"}).json_schema == '{"type": "integer"}'


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"logit_bias": {"a": 101}},
            "the logit_bias of 'a' must be a number from -100 to 100, not 101: use banned",
        ),
        ({"logit_bias": {"a": math.nan}}, "not nan"),
        ({"logit_bias": {"a": -math.inf}}, "use banned"),
        ({"allowed": ""}, "allowed must have at least one character"),
        ({"stop": ["a", ""]}, "a stop text must not be empty"),
        ({"choices": []}, "choices must have at least one text"),
        ({"match": "a", "choices": ["a"]}, "use only one of match and choices"),
        (
            {"match": "a", "choices": ["a"], "json_schema": "{}"},
            "use only one of match, choices and json_schema",
        ),
        ({"match": "a", "stop": "b"}, "use match or stop, not both"),
        ({"match": "[ab]{2,6}", "min_length": 5}, "use match or min_length, not both"),
        ({"choices": ["a"], "max_copy": 5}, "use choices or max_copy, not both"),
        ({"resample": 3}, "resample needs a constraint: match, choices or json_schema"),
        *[
            (
                {"mirostat_tau": 2.0} | option,
                f"mirostat_tau takes the place of {next(iter(option))}: turn it off",
            )
            for option in ({"top_k": 3}, {"typical_p": 0.9}, {"top_p": 0.9}, {"min_p": 0.1})
        ],
    ],
)
def test_values_that_are_refused_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(SamplingError, match=message) as caught:
        Sampling(**options)
    assert caught.value.parameter in options


CIRCULAR: dict[str, Any] = {}
CIRCULAR["items"] = CIRCULAR
DEEP: dict[str, Any] = {}
for _ in range(10_000):
    DEEP = {"items": DEEP}


@pytest.mark.parametrize("schema", [{"enum": [1, {"a": (2, math.inf)}]}, CIRCULAR, {"enum": [{2}]}, DEEP])
def test_a_schema_that_json_cannot_write_is_an_error(schema: dict[str, Any]) -> None:
    with pytest.raises(SamplingError) as caught:
        Sampling(json_schema=schema)
    assert caught.value.parameter == "json_schema"


@pytest.mark.parametrize(
    "options",
    [
        *({"stop": [1]}, {"stop": 1}, {"match": 1}, {"json_schema": 1}, {"banned": 3}, {"top_q": 1}),
        *({"choices": [b"a"]}, {"choices": "power"}),
        *({"logit_bias": bad} for bad in ({"e": "x"}, {5: 1.0}, 5, "a", [[[], 1]])),
    ],
)
def test_a_parameter_of_the_wrong_type_is_named(options: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match=next(iter(options))):
        Sampling(**options)


def test_sampling_is_a_value() -> None:
    sampling = Sampling(temperature=1)
    assert sampling == Sampling(temperature=1.0) != Sampling(temperature=0.9)
    assert sampling != (1.0,)
    assert repr(sampling) == "Sampling(temperature=1.0)"
    changed = Sampling(top_p=0.9, stop="a")
    assert repr(changed) == "Sampling(temperature=0.5, top_p=0.9, stop=('a',))"
    assert sampling.replace(temperature=0.2) == Sampling(temperature=0.2)
    assert Sampling(**sampling.as_dict()) == sampling
    assert Sampling(**json.loads(json.dumps(Sampling(**VALUES).as_dict()))) == Sampling(**VALUES)
    with pytest.raises(SamplingError):
        sampling.replace(temperature=-1.0)


@pytest.mark.parametrize("call", ["generate", "stream", "start"])
def test_an_object_and_keywords_give_the_same_text(tiny: Model, call: str) -> None:
    def text(**options: Any) -> str:
        result = getattr(tiny, call)("abc", seed=2, **options)
        return str(result.take(400)) if call == "start" else "".join(result)

    assert text(sampling=Sampling(temperature=1.1)) == text(temperature=1.1) != text()
    assert text() == text(sampling=Sampling())
    with pytest.raises(TypeError, match="pass sampling or temperature, not both"):
        text(sampling=Sampling(), temperature=0.5)
    with pytest.raises(TypeError, match="temprature"):
        text(temprature=0.5)
    with pytest.raises(TypeError, match="float"):
        text(sampling=0.5)


def test_several_prompts_accept_one_sampling_or_one_per_prompt(tiny: Model) -> None:
    prompts, temperatures = ["abc", "dad", "é"], (0.2, 1.0, 1.5)
    samplings = [Sampling(temperature=temperature) for temperature in temperatures]
    same = tiny.generate(prompts, length=50, seed=4, sampling=samplings[1])
    assert same == tiny.generate(prompts, length=50, seed=4, temperature=1.0)
    with pytest.raises(ValueError, match="zip"):
        tiny.generate(prompts, sampling=samplings[:2])
    with pytest.raises(TypeError, match="not both"):
        tiny.generate(prompts, sampling=samplings, temperature=0.5)


def test_sampling_can_change_during_generation(tiny: Model) -> None:
    generation = tiny.start("abc", temperature=1.0, seed=6)
    chunks = generation.stream(200)
    first = next(chunks)
    generation.sampling = generation.sampling.replace(temperature=0.0)
    assert generation.sampling == Sampling(temperature=0.0)
    remaining = "".join(chunks)
    assert tiny.start(f"abc{first}", temperature=0.0).take(200 - len(first)) == remaining
