"""Each sampling parameter is a field of a request."""

from typing import Any

import pytest
from textgen_runtime import PARAMETERS, Sampling
from textgen_runtime.server.json_fields import Fields
from textgen_runtime.server.sampling_fields import take_sampling

# A value in JSON, and in `Sampling`, by the kind of the parameter.
VALUES: dict[str, tuple[Any, Any]] = {
    "number": (0.25, 0.25),
    "whole": (3, 3),
    "switch": (True, True),
    "text": ("a b|c", "a b|c"),
    "characters": ("ab\n", ("a", "b", "\n")),
    "texts": (["a b", "\n"], ("a b", "\n")),
    "biases": ({"e": -2, "a": 1.5}, (("a", 1.5), ("e", -2.0))),
    "choices": (["a b", "c"], ("a b", "c")),
    "schema": ({"enum": [2]}, '{"enum": [2]}'),
}
NEEDED: dict[str, dict[str, Any]] = {"resample": {"match": "a"}}


@pytest.mark.parametrize("name", PARAMETERS)
def test_each_parameter_is_a_field(name: str) -> None:
    given, value = VALUES[PARAMETERS[name].kind]
    others = NEEDED.get(name, {})
    fields = Fields(others | {name: given})
    assert take_sampling(fields) == Sampling(**{"temperature": 1.0} | others | {name: value})
    fields.finish()


def test_without_fields_only_the_temperature_differs_from_that_of_python() -> None:
    assert take_sampling(Fields(dict.fromkeys(PARAMETERS))) == Sampling(temperature=1.0)
