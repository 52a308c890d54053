"""``textgen-run``: its output for each option, and its one-line errors."""

import io
import itertools
import os
import re
import sys
from pathlib import Path

import pytest
from textgen_runtime import Model, __version__
from textgen_runtime.cli import texts
from textgen_runtime.cli.run import main
from textgen_runtime.model_file import NORMALIZATION_KEY, PROMPTS_KEY

from tests.helpers.commands import Captured, run_here
from tests.helpers.run_command import CASE_UNCHANGED, run, tiny_with


def test_the_output_is_the_prompt_and_the_text(capsys: Captured, tiny: Model) -> None:
    text = tiny.generate("dad", length=30, temperature=0.8, seed=4)
    options = ("--length", "30", "--temp", "0.8", "--seed", "4")
    assert run(capsys, "--prompt", "dad", *options) == (0, f"dad{text}\n", "")
    assert run(capsys, "--prompt", "dad", "--no-echo", *options) == (0, f"{text}\n", "")


def test_the_defaults(capsys: Captured, tiny: Model) -> None:
    code, out, err = run(capsys, "--seed", "1")
    assert (code, err) == (0, "")
    assert out == "dad had" + tiny.generate(length=400, temperature=0.5, seed=1) + "\n"


def test_several_temperatures_have_headings(capsys: Captured, tiny: Model) -> None:
    _, out, _ = run(
        capsys, "--prompt", "abc", "--temp", "0.2", "0.5", "1", "--length", "9", "--seed", "1", "--no-echo"
    )
    assert out == "".join(
        f"------ temperature: {t}\n{tiny.generate('abc', length=9, temperature=t, seed=1)}\n"
        for t in (0.2, 0.5, 1.0)
    )


def test_each_line_of_a_file_is_a_prompt_and_gets_count_texts(
    capsys: Captured, tiny: Model, tmp_path: Path
) -> None:
    path = tmp_path / "prompts.txt"
    path.write_bytes("\ufeffabc\r\n\n é\ndad".encode())
    options = ("--prompts", str(path), "--count", "2", "--length", "9", "--seed", "1", "--temp", "0.5", "1")
    expected = []
    for temperature in (0.5, 1.0):
        prompts = ["abc", "abc", " é", " é", "dad", "dad"]
        drawn = tiny.generate(prompts, length=9, seed=1, temperature=temperature)
        for i, (prompt, text) in enumerate(zip(prompts, drawn, strict=True)):
            place = f"prompt {i // 2 + 1} of 3, text {i % 2 + 1} of 2"
            expected.append(f"------ temperature: {temperature}, {place}\n{prompt}{text}\n")
    assert run(capsys, *options) == (0, "".join(expected), "")


@pytest.mark.parametrize(
    ("content", "place"), [("", ""), ("\ufeff\n\r\n", ""), ("abc\n\nxyz\n", ", line 3: ")]
)
def test_invalid_prompts_are_errors_before_the_first_text(
    capsys: Captured, tmp_path: Path, content: str, place: str
) -> None:
    path = tmp_path / "prompts.txt"
    path.write_text(content)
    code, out, err = run(capsys, "--prompts", str(path))
    assert (code, out, err.count("\n"), f"{path}{place}" in err) == (1, "", 1, True)


def test_skipped_characters_of_all_prompts_are_counted(capsys: Captured, tmp_path: Path) -> None:
    path = tmp_path / "prompts.txt"
    path.write_text("axb\nabc\nxya\n")
    options = ("--prompts", str(path), "--unknown", "skip")
    _, out, err = run(capsys, *options, "--length", "4", "--separator", "")
    assert (err.count("\n"), "warning: 3 " in err, "'x'" in err, "'y'" in err) == (1, True, True, True)
    assert out.startswith("ab")
    path.write_text("abc\nxy\n")
    code, out, err = run(capsys, *options)
    assert (code, out, f"{path}, line 2: " in err) == (1, "", True)


@pytest.mark.parametrize(
    "options",
    [
        ("--prompts", "-", "--novel", "-"),
        ("--prompt-file", "-", "--novel", "-"),
        ("--json-schema", "-", "--prompts", "-"),
        ("--json-schema", "-", "--interactive"),
    ],
)
def test_standard_input_can_be_read_only_once(capsys: Captured, options: tuple[str, ...]) -> None:
    code, out, err = run(capsys, *options)
    assert (code, out, "standard input" in err) == (2, "", True)


def test_statistics_print_the_seed_that_reproduces_the_text(capsys: Captured) -> None:
    code, text, err = run(capsys, "--stats", "--length", "50", "--temp", "1", "--count", "2")
    assert code == 0
    values = dict(re.split(r"\s{2,}", line, maxsplit=1) for line in err.splitlines())
    assert list(values) == [
        "engine",
        "seed",
        "load time",
        "first character",
        "throughput",
    ]
    _, reproduced, _ = run(capsys, "--seed", values["seed"], "--length", "50", "--temp", "1", "--count", "2")
    assert reproduced == text


def test_the_throughput_is_that_of_all_threads(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is measured by the clock: threads that draw at the same time do not lower it."""
    clock = itertools.count()
    monkeypatch.setattr(texts, "perf_counter", lambda: next(clock))
    _, _, err = run(capsys, "--stats", "--length", "9", "--count", "8", "--threads", "2")
    # All texts are drawn in one chunk, and between two looks at this clock is a second.
    assert "throughput          72 characters/s\n" in err


@pytest.mark.parametrize("content", ["dad\n", "\ufeffdad\r\n", "DAD"])
def test_a_prompt_from_a_file(capsys: Captured, tmp_path: Path, content: str) -> None:
    path = tmp_path / "prompt.txt"
    path.write_bytes(content.encode())
    _, expected, _ = run(capsys, "--prompt", "dad", "--seed", "1")
    assert run(capsys, "--prompt-file", str(path), "--seed", "1") == (0, expected, "")


@pytest.mark.parametrize(("option", "prompt"), [("--prompt-file", "dad\n"), ("--prompts", "dad")])
def test_a_prompt_from_standard_input(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch, option: str, prompt: str
) -> None:
    _, expected, _ = run(capsys, "--prompt", prompt, "--seed", "1")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"dad\n\n")))
    assert run(capsys, option, "-", "--seed", "1") == (0, expected, "")


def test_version_is_printed(capsys: Captured) -> None:
    assert run(capsys, "--version") == (0, f"textgen-run {__version__}\n", "")


def test_an_empty_prompt_file_and_a_prompt_of_hyphens_are_errors(capsys: Captured) -> None:
    for arguments, culprit in ((("--prompt-file", os.devnull), os.devnull), (("--prompt=--",), "'-'")):
        code, out, err = run(capsys, *arguments)
        assert (code, out, err.count("\n"), culprit in err) == (1, "", 1, True)


def test_unusual_temperatures_are_questioned(capsys: Captured) -> None:
    _, _, err = run(capsys, "--temp", "5", "70", "1000")
    assert re.findall(r"warning: temperature (\d+) ", err) == ["70", "1000"]


def test_lowercase_converts_the_prompt(capsys: Captured, tmp_path: Path) -> None:
    """The model has no capital letters, and its normalization does not convert them."""
    path = tmp_path / "lower.onnx"
    path.write_bytes(tiny_with(NORMALIZATION_KEY, CASE_UNCHANGED))
    code, _, err = run_here(main, capsys, str(path), "--prompt", "Dad had", "--seed", "1")
    assert code == 1
    code, out, err = run_here(main, capsys, str(path), "--prompt", "Dad had", "--seed", "1", "--lowercase")
    assert (code, out, err) == run_here(main, capsys, str(path), "--prompt", "dad had", "--seed", "1")
    assert out.startswith("dad had")
    (tmp_path / "prompt.txt").write_text("DAD HAD\n")
    options = ("--prompt-file", str(tmp_path / "prompt.txt"), "--seed", "1", "--lowercase")
    assert run_here(main, capsys, str(path), *options) == (0, out, "")


def test_a_missing_model_is_an_error_of_one_line(capsys: Captured) -> None:
    error = "textgen-run: error: cannot read the model file no\\nsuch.onnx: No such file or directory\n"
    assert run_here(main, capsys, "no\nsuch.onnx") == (1, "", error)


def test_the_largest_seed_is_accepted(capsys: Captured) -> None:
    assert run(capsys, "--seed", str(2**128 - 1))[0] == 0
    code, _, err = run(capsys, "--seed", str(2**128))
    assert (code, err.count("\n")) == (2, 1)
    assert f"must be {2**128 - 1} or less" in err


@pytest.mark.parametrize("option", ["--length", "--temp", "--engine", "--unheard-of", "--seed"])
@pytest.mark.parametrize("value", ["x" * 100_000, "9" * 4000])
def test_a_long_argument_is_not_repeated(capsys: Captured, option: str, value: str) -> None:
    code, _, err = run(capsys, option, value)
    assert code == 2
    assert len(err) < 600


def test_a_model_without_prompts_needs_one(capsys: Captured, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(tiny_with(PROMPTS_KEY, "[]"))
    for options in ((), ("--explain",), ("--interactive", "--prompt", "x")):
        code, out, err = run_here(main, capsys, str(tmp_path / "model.onnx"), *options)
        assert (code, out, err.count("\n")) == (1, "", 1)
    assert run_here(main, capsys, str(tmp_path / "model.onnx"), "--prompt", "abc")[0] == 0
