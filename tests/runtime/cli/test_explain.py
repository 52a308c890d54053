"""``textgen-run --explain`` and ``--plot``: the chart, the figure, and their errors."""

import io
import re
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from textgen_runtime import Model, TemperatureComparison, compare_temperatures
from textgen_runtime.cli._explain import format_chart
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
    "options",
    [
        ("--length", "5"),
        ("--resample", "5", "--match", "a"),
        ("--json",),
        ("--count", "2"),
        ("--novel", "x"),
    ],
)
@pytest.mark.parametrize("mode", [("--explain",), ("--plot", "x.png")])
def test_options_of_generated_texts_are_wrong_usage(
    capsys: Captured, mode: tuple[str, ...], options: tuple[str, ...]
) -> None:
    code, out, err = run(capsys, *mode, *options)
    assert (code, out) == (2, "")
    assert f"{options[0]} has no effect with --explain and --plot: omit it" in err


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


def test_plot_writes_a_figure_by_its_suffix(capsys: Captured, tmp_path: Path) -> None:
    path = tmp_path / "f.SVG"
    assert run(capsys, "--plot", str(path), "--prompt", "dad") == (0, "", "")
    first = path.read_bytes()
    assert first.startswith(b"<?xml")
    # An earlier figure may be replaced.
    assert run(capsys, "--plot", str(path), "--prompt", "dad", "--temp", "1") == (0, "", "")
    assert path.read_bytes() != first
    assert [file.name for file in tmp_path.iterdir()] == ["f.SVG"]


@pytest.mark.usefixtures("saved_figures")
def test_a_figure_has_a_default_name(
    capsys: Captured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        assert run(capsys, "--plot", "--prompt", "dad") == (0, "", "wrote temperature.png\n")
    (tmp_path / "temperature.png").write_bytes(b"precious")
    code, _, err = run(capsys, "--plot", "--prompt", "dad")
    assert (code, (tmp_path / "temperature.png").read_bytes()) == (1, b"precious")
    assert "--plot temperature.png: the file exists and is not a figure of textgen-run" in err


def test_the_figure_reaches_from_near_zero_to_beyond_one(
    capsys: Captured, tmp_path: Path, saved_figures: list[Figure]
) -> None:
    _, out, _ = run(capsys, "--plot", str(tmp_path / "f.pdf"), "--explain")
    titles = [panel.get_title("left") for panel in saved_figures[0].axes]
    assert (titles[0], titles[-1]) == ("temperature 0.01", "temperature 2.0")
    assert "temperature  0.2              0.5              1.0              1.2\n" in out
    run(capsys, "--plot", str(tmp_path / "f.pdf"), "--temp", "0.3")
    assert [panel.get_title("left") for panel in saved_figures[1].axes] == ["temperature 0.3"]


@pytest.mark.parametrize("name", ["figure.jpg", "figure", "png", ""])
def test_a_wrong_suffix_is_wrong_usage(capsys: Captured, name: str) -> None:
    code, out, err = run(capsys, "--plot", name)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert f"argument --plot: must end in .png, .svg or .pdf, not {name!r}" in err


def test_plot_errors_are_one_line_and_change_nothing(
    capsys: Captured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other.png"
    Figure().savefig(other)
    content = other.read_bytes()
    cases = [
        ((str(other),), "the file exists and is not a figure of textgen-run"),
        ((str(tmp_path / "no" / "f.png"),), "cannot write .*No such file or directory"),
        ((str(tmp_path / "f.png"), "--temp", *["1"] * 25), "a figure has at most 24 temperatures, not 25"),
        ((str(tmp_path / "f.png"), "--prompt", "x"), "not in the model's vocabulary"),
    ]
    for arguments, message in cases:
        code, out, err = run(capsys, "--plot", *arguments)
        assert (code, out, err.count("\n")) == (1, "", 1)
        assert re.search(message, err)
    monkeypatch.setattr("textgen_runtime.cli._explain.find_spec", lambda _: None)
    assert run(capsys, "--plot", "f.png") == (
        1,
        "",
        "textgen-run: error: --plot requires matplotlib: pip install matplotlib\n",
    )
    assert other.read_bytes() == content
    assert [file.name for file in tmp_path.iterdir()] == ["other.png"]
