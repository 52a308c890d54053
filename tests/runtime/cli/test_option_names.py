"""Messages about sampling name options as they are typed, not parameters of the Python API."""

from pathlib import Path

import pytest
from textgen_runtime import ConstraintError, Sampling, SamplingError, TextgenError
from textgen_runtime.cli import info, run
from textgen_runtime.cli._option_names import with_option_names
from textgen_runtime.cli._run_arguments import parser
from textgen_runtime.model_file.metadata_values import PROMPTS_KEY

from tests.helpers.commands import Captured, run_here
from tests.helpers.paths import FORMAT_2, TINY
from tests.helpers.run_command import tiny_with


def test_every_parameter_is_an_option() -> None:
    options = {name for action in parser()._actions for name in action.option_strings}
    for name in Sampling.__slots__:
        assert with_option_names(SamplingError(f"{name} is wrong")).removesuffix(" is wrong") in options


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("use banned or logit_bias", "use /banned or /logit-bias"),
        ("a character of logit_bias: 'stop'", "a character of /logit-bias: 'stop'"),
        ("the stops of the seed are unstoppable", "the stops of the seed are unstoppable"),
    ],
)
def test_only_names_of_parameters_change(message: str, shown: str) -> None:
    assert with_option_names(SamplingError(message), "/") == shown


@pytest.mark.parametrize("name", ["novel (in Python 3).txt", "my model (command line: x).onnx"])
def test_names_of_files_stay(name: str) -> None:
    message = f"cannot read {name}: no such file"
    assert with_option_names(TextgenError(message)) == message


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--prompt", "x"], "'x' (U+0078); remove them, or skip them with --unknown skip"),
        (
            ["--prompt", "Ax"],
            "use --lowercase; remove the other characters, or skip them with --unknown skip",
        ),
    ],
)
def test_prompts_are_mended_by_options(capsys: Captured, options: list[str], message: str) -> None:
    code, _, err = run_here(run.main, capsys, str(FORMAT_2 / "gru.onnx"), *options)
    assert code == 1
    assert err.endswith(f"{message}\n")


def test_a_missing_prompt_is_an_option(capsys: Captured, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(tiny_with(PROMPTS_KEY, "[]"))
    code, _, err = run_here(run.main, capsys, str(path))
    assert (code, err) == (1, "textgen-run: error: the model has no default prompt: pass one as --prompt\n")


def test_what_is_for_python_alone_is_left_out() -> None:
    error = TextgenError('use --engine onnxruntime (in Python engine="onnxruntime")')
    assert with_option_names(error) == "use --engine onnxruntime"


def test_the_expression_of_the_user_stays() -> None:
    message = "no text matches the expression 'a match or a stop'"
    assert with_option_names(ConstraintError(message)) == message


def test_an_option_that_does_not_fit_the_model_is_named(capsys: Captured) -> None:
    code, _, err = run_here(run.main, capsys, str(TINY), "--allowed", "Z")
    assert code == 1
    assert err.startswith("textgen-run: error: --allowed and --banned leave no character of the model's")


def test_info_names_the_options_of_constraints(capsys: Captured) -> None:
    code, _, err = run_here(info.main, capsys, str(TINY), "--match", "a", "--choices", "b")
    assert code == 1
    assert err.startswith("textgen-info: error: use only one of --match, --choices and --json-schema")
