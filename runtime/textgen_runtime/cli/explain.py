"""The option ``--explain`` of ``textgen-run``: what the temperature does."""

import argparse
import sys
from collections.abc import Sequence
from textwrap import wrap

import numpy as np

from textgen_runtime.cli.word_wrap import display_width
from textgen_runtime.errors import shorten
from textgen_runtime.model import Model
from textgen_runtime.sampling import Sampling
from textgen_runtime.temperatures import TEMPERATURES, TemperatureComparison, compare_temperatures
from textgen_runtime.terminal import ESCAPES, terminal_columns
from textgen_runtime.tokenizer import symbol_name

# Symbols with a row of their own. The remaining symbols share one row.
MAX_ROWS = 12

# The chart is never narrower than this: one temperature, and a heading with the end of the prompt.
MIN_COLUMNS = 36
# Temperatures whose bars would be shorter than MIN_BAR stand in several blocks, one below the other.
MIN_BAR, MAX_BAR = 6, 24

LABEL_WIDTH = len("temperature")
PERCENT_WIDTH = len("<0.1%")
GAP = 2

# A bar in cells of eighths, and the replacement for encodings that lack these characters.
EIGHTHS = "▏▎▍▌▋▊▉█"
ASCII = "#"


def explain(arguments: argparse.Namespace, sampling: Sampling, model: Model, prompt: str | None) -> int:
    """Print the chart; return the exit code.

    Raises:
        PromptError: As for ``Model.start``.
    """
    comparison = compare_temperatures(
        model,
        prompt,
        arguments.temperature or TEMPERATURES,
        # The seed selects the prompt if there is none. The same command shows the same distributions.
        seed=arguments.seed or 0,
        unknown=arguments.unknown,
        sampling=sampling,
    )
    lines = format_chart(comparison, describe_settings(sampling), terminal_columns(), sys.stdout.encoding)
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    return 0


def describe_settings(sampling: Sampling) -> str:
    """Return the parameters that are not at their defaults, besides the temperature; may be empty."""
    changed = [f"{name}={value!r}" for name, value in sampling.changed().items() if name != "temperature"]
    return f"with {', '.join(changed)}" if changed else ""


def format_chart(comparison: TemperatureComparison, settings: str, columns: int, encoding: str) -> list[str]:
    """Return the lines of the chart.

    Args:
        comparison: The distributions.
        settings: A description of the other sampling parameters; may be empty.
        columns: Width of the terminal. The chart is not narrower than 36 columns.
        encoding: Encoding of the output. If it has no block characters, the bars consist of ``#``.
    """
    columns = max(columns, MIN_COLUMNS)
    count = len(comparison.temperatures)
    room = columns - LABEL_WIDTH
    fitting = max(1, room // (GAP + MIN_BAR + 1 + PERCENT_WIDTH))
    # The temperatures are distributed evenly over the blocks.
    blocks = -(-count // fitting)
    per_block = -(-count // blocks)
    bar = min(MAX_BAR, room // per_block - GAP - 1 - PERCENT_WIDTH)
    table = _table(comparison, bar, encoding)
    title = f"Next {comparison.unit} after "
    title += _quote_end(comparison.prompt, columns - len(title) - 2, encoding)
    # A record has nothing before its first token.
    lines = [title if comparison.prompt else f"First {comparison.unit}", *wrap(settings, columns)]
    for start in range(0, count, per_block):
        lines.append("")
        lines += [_line(label, cells[start : start + per_block], bar) for label, cells in table]
    note = f"choices = 2 ** entropy: the number of equally likely {comparison.unit}s with this entropy"
    return [*lines, "", *wrap(note, columns)]


def _table(comparison: TemperatureComparison, bar: int, encoding: str) -> list[tuple[str, list[str]]]:
    """Return the label of each row, and its cells, one for each temperature."""
    symbols, probabilities = comparison.symbols, comparison.probabilities
    # A single remaining symbol has its own row, because a row for "others" would be as long.
    shown = len(symbols) if len(symbols) <= MAX_ROWS + 1 else MAX_ROWS
    names = [_encodable(symbol_name(symbol), encoding) for symbol in symbols[:shown]]
    shares = probabilities[:, :shown].T
    if shown < len(symbols):
        others = f"{len(symbols) - shown} others"
        names.append(others if len(others) <= LABEL_WIDTH else "others")
        shares = np.vstack([shares, probabilities[:, shown:].sum(axis=1)])
    glyphs = _glyphs(encoding)
    largest = float(shares.max())
    rows = [
        (name, [f"{_bar(share / largest, bar, glyphs)} {_percent(share):>{PERCENT_WIDTH}}" for share in row])
        for name, row in zip(names, shares.tolist(), strict=True)
    ]
    return [
        ("temperature", [str(temperature) for temperature in comparison.temperatures]),
        *rows,
        ("", [""] * len(comparison.temperatures)),
        ("entropy", [f"{bits:.2f} bits" for bits in comparison.entropies]),
        ("choices", [f"{choices:.1f}" for choices in comparison.choices]),
    ]


def _line(label: str, cells: Sequence[str], bar: int) -> str:
    label = shorten(label, LABEL_WIDTH)
    label = " " * (LABEL_WIDTH - display_width(label)) + label
    width = bar + 1 + PERCENT_WIDTH
    return "".join([label, *(" " * GAP + cell.ljust(width) for cell in cells)]).rstrip()


def _bar(share: float, cells: int, glyphs: str) -> str:
    """Return a bar for a share of ``cells``, padded with spaces to all cells."""
    full, part = divmod(round(share * cells * len(glyphs)), len(glyphs))
    return (glyphs[-1] * full + (glyphs[part - 1] if part else "")).ljust(cells)


def _percent(share: float) -> str:
    # The limits are where rounding would show "0.0%" or "10.0%".
    if 0 < share < 0.0005:  # noqa: PLR2004
        return "<0.1%"
    return f"{share:.0%}" if share == 0 or share >= 0.0995 else f"{share:.1%}"  # noqa: PLR2004


def _glyphs(encoding: str) -> str:
    try:
        EIGHTHS.encode(encoding)
    except UnicodeEncodeError:
        return ASCII
    return EIGHTHS


def _quote_end(prompt: str, length: int, encoding: str) -> str:
    """Return the end of a prompt, in quotes, with escapes for line ends and control characters."""
    text = _encodable(prompt.translate(ESCAPES | {ord("\n"): "\\n", ord("\t"): "\\t"}), encoding)
    return f'"{text}"' if len(text) <= length else f'"...{text[3 - length :]}"'


def _encodable(text: str, encoding: str) -> str:
    return text.encode(encoding, "backslashreplace").decode(encoding)
