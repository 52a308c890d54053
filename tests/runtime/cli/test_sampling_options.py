"""Each sampling parameter is an option of the command, and a setting of a session."""

from pathlib import Path
from typing import Any

import pytest
import textgen_runtime as textgen
from textgen_runtime import PARAMETERS, Model, Sampling
from textgen_runtime.cli._interactive_session import Session
from textgen_runtime.cli._interactive_settings import find_settings
from textgen_runtime.cli._run_arguments import parser
from textgen_runtime.cli._sampling_options import samplings

from tests.helpers.make_tiny_model import make_model
from tests.helpers.record_models import record_content

# Words after an option, what is typed after a setting, and their value, by the kind of the parameter.
TYPED: dict[str, tuple[list[str], str, Any]] = {
    "number": (["0.25"], "0.25", 0.25),
    "whole": (["3"], "3", 3),
    "switch": ([], "on", True),
    "text": (["a b|c "], "a b|c ", "a b|c "),
    "characters": (["ab\\n"], "ab\\n", ("a", "b", "\n")),
    "texts": (["\\n"], "\\n 'a b'", ("\n",)),
    "biases": (["==-2"], "'==-2'", (("=", -2.0),)),
    "choices": (["a b", "c\\n"], "'a b' c\\n", ("a b", "c\n")),
    "schema": (["schema.json"], "schema.json", '{"enum": [2]}'),
}
OPTIONS = {name: f"--{name.replace('_', '-')}" for name in PARAMETERS} | {"temperature": "--temp"}
NEEDED: dict[str, dict[str, Any]] = {"resample": {"match": "a"}}


@pytest.fixture(autouse=True)
def schema(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file of the JSON schema is in the working directory."""
    monkeypatch.chdir(tmp_path)
    Path("schema.json").write_text('{"enum": [2]}', encoding="utf-8")


@pytest.fixture(scope="module")
def model() -> Model:
    """A model of records that has the characters of each value."""
    return textgen.load(record_content(symbols="\n abcdeh'=2"))


@pytest.mark.parametrize("name", PARAMETERS)
def test_each_parameter_is_an_option(name: str) -> None:
    words, _, value = TYPED[PARAMETERS[name].kind]
    needed = NEEDED.get(name, {})
    given = ["model", OPTIONS[name], *words]
    for other, pattern in needed.items():
        given += [OPTIONS[other], pattern]
    (sampling,) = samplings(parser().parse_args(given))
    assert sampling == Sampling(**needed | {name: value})


def test_without_options_each_parameter_has_its_default() -> None:
    assert samplings(parser().parse_args(["model"])) == [Sampling()]


def test_options_that_may_be_repeated_add_up() -> None:
    biases = ["--logit-bias", "==-2", "--logit-bias", "\\n=1"]
    options = ["--stop", "ab", *biases, "--until-newline", "--temp", "0", "1"]
    expected = Sampling(stop=["ab", "\n"], logit_bias={"=": -2.0, "\n": 1.0})
    found = samplings(parser().parse_args(["model", *options]))
    assert found == [expected.replace(temperature=0), expected.replace(temperature=1)]


def test_the_help_spells_parameters_as_options() -> None:
    text = " ".join(parser().format_help().split())
    assert (
        "which replaces --top-k, --typical-p, --top-p and --min-p; use --temp 1 with it (default: 0, off)"
        in text
    )
    assert "sampling temperature; several values give one text each; 0 always" in text
    assert "--stop TEXT end a text before TEXT; may be repeated; in TEXT, \\n is a line end" in text


@pytest.mark.parametrize("name", PARAMETERS)
def test_each_parameter_is_a_setting(model: Model, name: str) -> None:
    _, typed, value = TYPED[PARAMETERS[name].kind]
    value = ("\n", "a b") if name == "stop" else value
    needed = Sampling(**NEEDED.get(name, {}))
    session = Session(model.with_novel("abcabd"), needed, 7)
    setting = find_settings()[OPTIONS[name].removeprefix("--")]
    setting.set(session, typed)
    assert session.sampling == needed.replace(**{name: value})
    assert setting.is_shown(session)
    shown = setting.line(session).removeprefix(f"/{setting.name} ")
    setting.set(session, "off")
    assert session.sampling == needed
    assert setting.is_shown(session) == (name == "temperature")
    if name != "json_schema":
        setting.set(session, shown)
        assert session.sampling == needed.replace(**{name: value})


def test_a_model_without_the_characters_of_a_schema_keeps_its_settings() -> None:
    session = Session(textgen.load(make_model("ab").SerializeToString()), Sampling(), 7)
    with pytest.raises(textgen.TextgenError):
        find_settings()["json-schema"].set(session, "schema.json")
    assert session.sampling == Sampling()
