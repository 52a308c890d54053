"""The option ``--explain`` of ``textgen-run``: what the temperature does."""

import argparse
import sys
from collections.abc import Sequence
from unicodedata import east_asian_width

import numpy as np

from textgen_runtime.errors import shorten
from textgen_runtime.model import Model
from textgen_runtime.sampling import TEMPERATURES, Sampling
from textgen_runtime.temperatures import TemperatureComparison, compare_temperatures
from textgen_runtime.terminal import escape_unprintable
from textgen_runtime.tokenizer import symbol_name

from .options import describe_parameters

# Symbols with a row of their own. The remaining symbols share one row.
MAX_ROWS = 12

# Four temperatures fit in 80 columns.
BAR_WIDTH, PERCENT_WIDTH, LABEL_WIDTH = 8, len("<0.1%"), len("temperature")

# How much of the end of the prompt is shown.
SHOWN_PROMPT = 50

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
    values = {name: value for name, value in sampling.changed().items() if name != "temperature"}
    # The names of symbols may have characters that the output's encoding lacks.
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        EIGHTHS.encode(sys.stdout.encoding)
        glyphs = EIGHTHS
    except UnicodeEncodeError:
        glyphs = ASCII
    lines = format_chart(comparison, describe_parameters(values), glyphs)
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    return 0


def format_chart(comparison: TemperatureComparison, settings: str, glyphs: str) -> list[str]:
    """Return the lines of the chart.

    Args:
        comparison: The distributions.
        settings: The other sampling parameters; may be empty.
        glyphs: The characters of bars, from the shortest one to a full cell.
    """
    symbols, probabilities = comparison.symbols, comparison.probabilities
    # A single remaining symbol has its own row, because a row for "others" would be as long.
    shown = len(symbols) if len(symbols) <= MAX_ROWS + 1 else MAX_ROWS
    names = [symbol_name(symbol) for symbol in symbols[:shown]]
    shares = probabilities[:, :shown].T
    if shown < len(symbols):
        names.append("others")
        shares = np.vstack([shares, probabilities[:, shown:].sum(axis=1)])
    largest = float(np.max(shares))
    end = escape_unprintable(comparison.prompt[-SHOWN_PROMPT:])
    # A record has nothing before its first token.
    title = f'Next {comparison.unit} after "{end}"' if comparison.prompt else f"First {comparison.unit}"
    return [
        title,
        *([f"with {settings}"] if settings else []),
        "",
        _line("temperature", [str(temperature) for temperature in comparison.temperatures]),
        *(
            _line(
                name, [f"{_bar(share / largest, glyphs)} {_percent(share):>{PERCENT_WIDTH}}" for share in row]
            )
            for name, row in zip(names, shares.tolist(), strict=True)
        ),
        "",
        _line("entropy", [f"{bits:.2f} bits" for bits in comparison.entropies]),
        _line("choices", [f"{choices:.1f}" for choices in comparison.choices]),
        "",
        f"choices = 2 ** entropy: as many equally likely {comparison.unit}s have this entropy",
    ]


def _line(label: str, cells: Sequence[str]) -> str:
    label = shorten(label, LABEL_WIDTH)
    # A wide character takes two columns of a terminal.
    padding = LABEL_WIDTH - len(label) - sum(east_asian_width(character) in "WF" for character in label)
    width = BAR_WIDTH + 1 + PERCENT_WIDTH
    return "".join([" " * padding, label, *(f"  {cell:<{width}}" for cell in cells)]).rstrip()


def _bar(share: float, glyphs: str) -> str:
    """Return a bar for a share of the width, padded with spaces to all of it."""
    full, part = divmod(round(share * BAR_WIDTH * len(glyphs)), len(glyphs))
    return (glyphs[-1] * full + (glyphs[part - 1] if part else "")).ljust(BAR_WIDTH)


def _percent(share: float) -> str:
    # The limits are where rounding would show "0.0%" or "10.0%".
    if 0 < share < 0.0005:  # noqa: PLR2004
        return "<0.1%"
    return f"{share:.0%}" if share == 0 or share >= 0.0995 else f"{share:.1%}"  # noqa: PLR2004
