"""Messages name options as they are typed, and not the keywords of Python."""

from pathlib import Path

import onnx
import pytest
from textgen_runtime.cli import info, run
from textgen_runtime.model_file.metadata_values import PROMPTS_KEY

from tests.helpers.commands import Captured, run_here
from tests.helpers.damaged_models import clip_the_gates
from tests.helpers.paths import FORMAT_2, TINY
from tests.helpers.run_command import tiny_with


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


def test_the_other_engine_is_an_option(capsys: Captured, tmp_path: Path, tiny_proto: onnx.ModelProto) -> None:
    clip_the_gates(tiny_proto)
    path = tmp_path / "model.onnx"
    path.write_bytes(tiny_proto.SerializeToString())
    code, _, err = run_here(run.main, capsys, str(path))
    assert (code, err.count(str(path))) == (1, 1)
    assert err.endswith("; if you trust the file, use --engine onnxruntime\n")


def test_an_option_that_does_not_fit_the_model_is_named(capsys: Captured) -> None:
    code, _, err = run_here(run.main, capsys, str(TINY), "--allowed", "Z")
    assert code == 1
    assert err.startswith("textgen-run: error: --allowed and --banned leave no character of the model's")


def test_info_names_the_options_of_constraints(capsys: Captured) -> None:
    code, _, err = run_here(info.main, capsys, str(TINY), "--match", "a", "--choices", "b")
    assert code == 1
    assert err.startswith("textgen-info: error: use only one of --match and --choices")
