"""``textgen-run --explain``: the chart, and its errors."""

import io
import re
import sys

import numpy as np
import pytest
from textgen_runtime import Model, TemperatureComparison, compare_temperatures
from textgen_runtime.cli.explain import ASCII, EIGHTHS, format_chart
from textgen_runtime.cli.run import main

from tests.helpers.commands import Captured, run_here
from tests.helpers.paths import TINY
from tests.helpers.run_command import run

PROBABILITIES = np.array(
    [
        [0.9, 0.0996, 0.0004, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
        [0.25, 0.25, 0.125, 0.125, 0.05, 0.04, 0.04, 0.03, 0.02, 0.02, 0.02, 0.01, 0.01, 0.01],
    ]
)
COMPARISON = TemperatureComparison(
    "to the\nend",
    "character",
    ("e", " ", "\n", "中", *"abcdefghij"),
    (0.01, 2.0),
    PROBABILITIES,
    PROBABILITIES[1],
)


def test_the_chart_has_a_row_for_each_symbol_and_one_for_the_others() -> None:
    assert (
        "\n".join(format_chart(COMPARISON, "top_k=5", EIGHTHS))
        == """\
Next character after "to the\\nend"
with top_k=5

temperature  0.01            2.0
          e  ████████   90%  ██▎        25%
      space  ▉          10%  ██▎        25%
    newline           <0.1%  █▏         12%
         中              0%  █▏         12%
          a              0%  ▌         5.0%
          b              0%  ▍         4.0%
          c              0%  ▍         4.0%
          d              0%  ▎         3.0%
          e              0%  ▏         2.0%
          f              0%  ▏         2.0%
          g              0%  ▏         2.0%
          h              0%  ▏         1.0%
     others              0%  ▏         2.0%

    entropy  0.47 bits       3.03 bits
    choices  1.4             8.2

choices = 2 ** entropy: as many equally likely characters have this entropy"""
    )


def test_a_single_remaining_symbol_has_its_own_row() -> None:
    shorter = TemperatureComparison(
        "", "token", tuple("abcdefghijklm"), (1.0,), np.full((1, 13), 1 / 13), np.full(13, 1 / 13)
    )
    lines = format_chart(shorter, "", ASCII)
    assert not any("others" in line for line in lines)
    assert sum("########  7.7%" in line for line in lines) == 13
    assert lines[0] == "First token"


def test_explain_prints_the_chart_instead_of_a_text(capsys: Captured, tiny: Model) -> None:
    code, out, err = run(capsys, "--explain", "--prompt", "DAD")
    expected = format_chart(compare_temperatures(tiny, "dad"), "", EIGHTHS)
    assert (code, out.splitlines(), err) == (0, expected, "")
    _, out, _ = run(capsys, "--explain", "--seed", "2", "--temp", "0", "3", "--top-k", "5", "--banned", "h")
    comparison = compare_temperatures(tiny, seed=2, temperatures=(0.0, 3.0), top_k=5, banned="h")
    assert out.splitlines() == format_chart(comparison, "top_k=5, banned=('h',)", EIGHTHS)


def test_an_encoding_without_blocks_has_plain_bars(monkeypatch: pytest.MonkeyPatch) -> None:
    output = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", output)
    assert main([str(TINY), "--explain", "--prompt", "dad"]) == 0
    output.seek(0)
    shown = output.read()
    assert "########" in shown
    assert "\\u20ac" in shown


def test_a_schema_from_standard_input_is_read_once(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b'{"enum": [17]}')))
    code, out, _ = run_here(main, capsys, "nietzsche", "--explain", "--json-schema", "-")
    assert code == 0
    assert """with json_schema='{"enum": [17]}'""" in out
    assert re.search("1  .* 100%", out)


def test_characters_outside_the_vocabulary_are_skipped_with_a_warning(capsys: Captured) -> None:
    code, out, err = run(capsys, "--explain", "--prompt", "dxad", "--unknown", "skip")
    assert (code, out.splitlines()[0]) == (0, 'Next character after "dad"')
    assert (err.count("\n"), "'x'" in err) == (1, True)
