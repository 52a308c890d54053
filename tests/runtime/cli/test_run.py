"""``textgen-run``: its output for each option, and its one-line errors."""

import io
import itertools
import os
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from textgen_runtime import Model, __version__
from textgen_runtime.cli import _text_batch
from textgen_runtime.cli.run import main
from textgen_runtime.model_file import NORMALIZATION_KEY
from textgen_runtime.results import Measurements

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
    texts = [tiny.generate("abc", length=9, temperature=t, seed=1) for t in (0.2, 0.5, 1.0)]
    assert out == (
        f"------ temperature: 0.2\n{texts[0]}\n"
        f"------ temperature: 0.5\n{texts[1]}\n"
        f"------ temperature: 1.0\n{texts[2]}\n"
    )


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
        "time per character",
        "mean entropy",
    ]
    _, reproduced, _ = run(capsys, "--seed", values["seed"], "--length", "50", "--temp", "1", "--count", "2")
    assert reproduced == text
    total, *parts = [float(number) for number in re.findall(r"\d+\.\d+", values["time per character"])]
    assert total == pytest.approx(sum(parts), abs=0.02)
    assert 0 < float(values["mean entropy"].split()[0]) < 3.6


def test_the_throughput_is_that_of_all_threads(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is measured by the clock: threads that draw at the same time do not lower it."""
    clock = itertools.count()
    monkeypatch.setattr(_text_batch, "perf_counter", lambda: next(clock))
    _, _, err = run(capsys, "--stats", "--length", "9", "--count", "8", "--threads", "2")
    # All texts are drawn in one chunk, and between two looks at this clock is a second.
    assert "throughput          72 characters/s\n" in err


@pytest.mark.parametrize("engine", ["native", "onnxruntime"])
def test_the_mean_entropy_includes_the_draws_of_rejected_texts(capsys: Captured, engine: str) -> None:
    options = ("--choices", "dad", "--resample", "500", "--prompt", "abc", "--seed", "3", "--engine", engine)
    _, _, err = run(capsys, *options, "--stats", "--temp", "9", "--count", "5")
    (mean,) = re.findall(r"mean entropy +(\S+) bits per character", err)
    # At this temperature the 12 characters are nearly equally likely, and nearly all texts are rejected.
    assert 3.4 < float(mean) < np.log2(12)


def test_statistics_print_the_entropy_of_each_temperature(capsys: Captured, tiny: Model) -> None:
    options = ("--length", "90", "--prompt", "abc", "--seed", "3")
    _, _, err = run(capsys, "--stats", "--temp", "0", "1", "2", *options)
    expected = []
    for temperature in (0.0, 1.0, 2.0):
        generation = tiny.start("abc", temperature=temperature, seed=3)
        generation.measurements = Measurements()
        generation.take(90)
        mean = generation.measurements.entropy_bits / 90
        expected.append(f"mean entropy        {mean:.3f} bits per character at temperature {temperature}")
    assert err.splitlines()[-3:] == expected
    assert "0.000 bits" in expected[0] != expected[1]
    assert err.count("throughput ") == 1


@pytest.mark.parametrize("content", ["dad\n", "\ufeffdad\r\n", "DAD"])
def test_a_prompt_from_a_file(capsys: Captured, tmp_path: Path, content: str) -> None:
    path = tmp_path / "prompt.txt"
    path.write_bytes(content.encode())
    _, expected, _ = run(capsys, "--prompt", "dad", "--seed", "1")
    assert run(capsys, "--prompt-file", str(path), "--seed", "1") == (0, expected, "")


def test_a_prompt_from_standard_input(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    _, expected, _ = run(capsys, "--prompt", "dad\n", "--seed", "1")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"dad\n\n")))
    assert run(capsys, "--prompt-file", "-", "--seed", "1") == (0, expected, "")


def test_version_is_printed(capsys: Captured) -> None:
    assert run(capsys, "--version") == (0, f"textgen-run {__version__}\n", "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--prompt", "axbyc"], r"not in the model's vocabulary: 'x' \(U\+0078\), 'y' \(U\+0079\)"),
        (["--prompt", ""], "the prompt from --prompt is empty"),
        (["--prompt=--"], r"not in the model's vocabulary: '-' \(U\+002D\)"),
        (["--prompt-file", os.devnull], "the prompt from .* is empty"),
        (["--prompt-file", "no/such/file"], "cannot read no/such/file"),
    ],
)
def test_user_errors_are_one_line(capsys: Captured, arguments: list[str], message: str) -> None:
    code, out, err = run(capsys, *arguments)
    assert (code, out) == (1, "")
    assert re.fullmatch(f"textgen-run: error: .*{message}.*\n", err)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--temp", "nan"], "--temp: must be a finite number"),
        (["--temp", "1", "nietzsche"], "'nietzsche'; if it is MODEL, put it first, or write -- before it"),
        (["--temp", "x"], "0 or more, not 'x' (see"),
        (["--length", "0"], "--length: must be 1 or more"),
        (["--count", "0"], "--count: must be 1 or more"),
        (["--seed", "-1"], "--seed: must be 0 or more"),
        (["--threads", "0"], "--threads: must be 1 or more"),
        (["--unknown", "keep"], "--unknown: invalid choice"),
        (["--prompt", "a", "--prompt-file", "b"], "not allowed with"),
        (["--prompts", "a", "--prompt", "b"], "not allowed with"),
        (
            ["--prompt", "a", "--prompt", "b"],
            "--prompt can be given only once: for several prompts, use --prompts",
        ),
        (["--json", "--separator", "x"], "not allowed with"),
        (["--warmth", "1"], "unrecognized arguments: --warmth 1 (see"),
        (["--tmp", "1"], "unrecognized arguments: --tmp 1; did you mean --temp? (see"),
        (["extra", "--lenght=5"], "did you mean --length? (see"),
        (["--", "--seed", "1"], "unrecognized arguments: --seed 1; write --seed before -- (see"),
        (["--length=--"], "--length: must be an integer, not '--'"),
        (["--match", "-?a"], "--match: expected one argument; if it begins with a hyphen, write --match=..."),
        (["--stop", ""], "a --stop text must not be empty"),
        (["--min-length", "5", "--choices", "a"], "use --choices or --min-length, not both"),
    ],
)
def test_wrong_usage_exits_with_2(capsys: Captured, arguments: list[str], message: str) -> None:
    code, out, err = run(capsys, *arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert err.startswith("textgen-run: error: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize(("values", "is_taken"), [(("a", "nietzsche"), True), (("nietzsche",), False)])
def test_a_model_that_an_option_has_taken_is_missing(
    capsys: Captured, values: tuple[str, ...], is_taken: bool
) -> None:
    code, _, err = run_here(main, capsys, "--choices", *values)
    hint = "; if it is the last value of --choices, put it first, or write -- before it" * is_taken
    message = f"the following arguments are required: MODEL{hint} (see textgen-run --help)"
    assert (code, err) == (2, f"textgen-run: error: {message}\n")


def test_unusual_temperatures_are_questioned(capsys: Captured) -> None:
    _, _, err = run(capsys, "--temp", "5", "70", "1000")
    assert err == "".join(
        f"textgen-run: warning: temperature {value} makes the text almost random: values from 0.2 to 1.2 are "
        "usual\n"
        for value in (70, 1000)
    )


def test_lowercase_converts_the_prompt(capsys: Captured, tmp_path: Path) -> None:
    """The model has no capital letters, and its normalization does not convert them."""
    path = tmp_path / "lower.onnx"
    path.write_bytes(tiny_with(NORMALIZATION_KEY, CASE_UNCHANGED))
    code, _, err = run_here(main, capsys, str(path), "--prompt", "Dad had", "--seed", "1")
    assert code == 1
    assert "not in the model's vocabulary: 'D'" in err
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
