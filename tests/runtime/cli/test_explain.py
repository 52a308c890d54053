"""``textgen-run --explain``: the chart, and its errors."""

import io
import re

import numpy as np
import pytest
from textgen_runtime import Model, TemperatureComparison, compare_temperatures
from textgen_runtime.cli.explain import format_chart
from textgen_runtime.cli.run import main

from tests.helpers.commands import Captured, run_here
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
BARS = re.compile(r"[▏▎▍▌▋▊▉█#]")


def test_the_chart_has_a_row_for_each_symbol_and_one_for_the_others() -> None:
    assert (
        "\n".join(format_chart(COMPARISON, "with top_k 5", 60, "utf-8"))
        == """\
Next character after "to the\\nend"
with top_k 5

temperature  0.01                    2.0
          e  ████████████████   90%  ████▌              25%
      space  █▊                 10%  ████▌              25%
    newline                   <0.1%  ██▎                12%
         中                      0%  ██▎                12%
          a                      0%  ▉                 5.0%
          b                      0%  ▊                 4.0%
          c                      0%  ▊                 4.0%
          d                      0%  ▌                 3.0%
          e                      0%  ▍                 2.0%
          f                      0%  ▍                 2.0%
          g                      0%  ▍                 2.0%
          h                      0%  ▏                 1.0%
   2 others                      0%  ▍                 2.0%

    entropy  0.47 bits               3.03 bits
    choices  1.4                     8.2

choices = 2 ** entropy: the number of equally likely
characters with this entropy"""
    )


@pytest.mark.parametrize("columns", [1, 50, 200])
@pytest.mark.parametrize("count", [1, 4, 7])
def test_the_chart_fits_the_terminal(tiny: Model, columns: int, count: int) -> None:
    comparison = compare_temperatures(tiny, "dad had" * 50, [0.2 + i for i in range(count)])
    lines = format_chart(comparison, "", columns, "utf-8")
    assert max(map(len, lines)) <= max(columns, 36)
    headings = [line.split()[1:] for line in lines if line.startswith("temperature")]
    assert [heading for block in headings for heading in block] == [str(0.2 + i) for i in range(count)]
    # The blocks are equally wide, except for the last one.
    assert len({len(heading) for heading in headings[:-1]}) <= 1
    assert sum(line.count("%") for line in lines) == 12 * count
    assert max(len(BARS.findall(line)) for line in lines) > 0


def test_an_encoding_without_blocks_has_plain_bars() -> None:
    lines = format_chart(COMPARISON, "", 60, "ascii")
    assert all(line.isascii() for line in lines)
    assert "          e  ################   90%  ####               25%" in lines
    assert "     \\u4e2d                      0%  ##                 12%" in lines


@pytest.mark.parametrize(
    ("symbols", "label"), [(112, "100 others"), (9_000, "8988 others"), (20_000, "others")]
)
def test_the_label_of_many_other_symbols_is_complete(symbols: int, label: str) -> None:
    probabilities = np.full((1, symbols), 1 / symbols)
    many = TemperatureComparison("a", "character", "a" * symbols, (1.0,), probabilities, probabilities[0])
    lines = format_chart(many, "", 60, "utf-8")
    assert any(line.startswith(f"{label:>11}  ") for line in lines)


@pytest.mark.parametrize(
    "options", [("--length", "5"), ("--resample", "5", "--match", "a"), ("--json",), ("--prompts", "x")]
)
def test_options_of_generated_texts_are_wrong_usage(capsys: Captured, options: tuple[str, ...]) -> None:
    code, out, err = run(capsys, "--explain", *options)
    assert (code, out, f"{options[0]} " in err) == (2, "", True)


def test_a_schema_from_standard_input_is_read_once(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b'{"enum": [17]}')))
    code, out, _ = run_here(main, capsys, "nietzsche", "--explain", "--json-schema", "-")
    assert code == 0
    assert """with json_schema='{"enum": [17]}'""" in out
    assert re.search("1  .* 100%", out)


def test_a_single_remaining_symbol_has_its_own_row() -> None:
    shorter = TemperatureComparison(
        "a", "token", tuple("abcdefghijklm"), (1.0,), np.full((1, 13), 1 / 13), np.full(13, 1 / 13)
    )
    lines = format_chart(shorter, "", 40, "utf-8")
    assert not any("others" in line for line in lines)
    assert sum("%" in line for line in lines) == 13
    assert "    choices  13.0" in lines
    assert lines[0] == 'Next token after "a"'


def test_explain_prints_the_chart_instead_of_a_text(
    capsys: Captured, tiny: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "70")
    code, out, err = run(capsys, "--explain", "--prompt", "DAD")
    expected = format_chart(compare_temperatures(tiny, "dad"), "", 70, "utf-8")
    assert (code, out.splitlines(), err) == (0, expected, "")
    _, out, _ = run(capsys, "--explain", "--seed", "2", "--temp", "0", "3")
    expected = format_chart(compare_temperatures(tiny, seed=2, temperatures=(0.0, 3.0)), "", 70, "utf-8")
    assert out.splitlines() == expected


def test_explain_shows_the_distribution_after_the_filters(capsys: Captured) -> None:
    _, out, _ = run(capsys, "--explain", "--prompt", "dad", "--top-k", "2", "--temp", "0.5", "--banned", "h")
    lines = out.splitlines()
    assert lines[1] == "with top_k=2, banned=('h',)"
    assert sum(" 0%" in line for line in lines) == 10
    assert sum("%" in line for line in lines) == 12


def test_explain_handles_characters_outside_the_vocabulary(capsys: Captured) -> None:
    code, out, err = run(capsys, "--explain", "--prompt", "dxad")
    assert (code, out) == (1, "")
    assert "not in the model's vocabulary" in err
    code, out, err = run(capsys, "--explain", "--prompt", "dxad", "--unknown", "skip")
    assert (code, out.splitlines()[0]) == (0, 'Next character after "dad"')
    assert "1 prompt character is outside the vocabulary and was skipped" in err
