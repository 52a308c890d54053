"""The options ``--explain`` and ``--plot`` of ``textgen-run``, which show what the temperature does."""

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from textgen_runtime.errors import OutputError, quote
from textgen_runtime.generation.model import Model
from textgen_runtime.sampling.parameters import Sampling
from textgen_runtime.system.console import terminal_columns, write_stderr

if TYPE_CHECKING:
    from textgen_runtime.scoring.temperatures import TemperatureComparison

PLOT_SUFFIXES = (".png", ".svg", ".pdf")
DEFAULT_PLOT = "temperature.png"

# The functions below import modules that import numpy, which the generation of a text does not need.


def plot_path(text: str) -> str:
    """Check the suffix of the path of a figure; an argument type."""
    if not text.lower().endswith(PLOT_SUFFIXES):
        raise argparse.ArgumentTypeError(f"must end in .png, .svg or .pdf, not {quote(text)}")
    return text


def explain(
    arguments: argparse.Namespace, sampling: Sampling, model: Model, prompt: str | None, prog: str
) -> int:
    """Write the figure and print the chart, whichever the options request; return the exit code.

    Raises:
        OutputError: If the figure cannot be written, or matplotlib is not installed.
        PromptError: As for ``Model.start``.
    """
    if arguments.plot:
        _write_figure(arguments, sampling, model, prompt, prog)
    if arguments.explain:
        _print_chart(arguments, sampling, model, prompt)
    return 0


def _print_chart(arguments: argparse.Namespace, sampling: Sampling, model: Model, prompt: str | None) -> None:
    from textgen_runtime.scoring.temperatures import TEMPERATURES

    from ._temperature_chart import format_chart

    comparison = _compare(arguments, sampling, model, prompt, TEMPERATURES)
    settings = _describe(sampling)
    lines = format_chart(comparison, settings, terminal_columns(), sys.stdout.encoding)
    sys.stdout.write("".join(f"{line}\n" for line in lines))


def _write_figure(
    arguments: argparse.Namespace, sampling: Sampling, model: Model, prompt: str | None, prog: str
) -> None:
    from importlib.util import find_spec
    from pathlib import Path

    from textgen_runtime.scoring.temperature_plot import (
        MAX_PANELS,
        PLOTTED_TEMPERATURES,
        is_temperature_plot,
        plot_temperatures,
        render,
    )

    from ._output_files import check_output, write_output

    if find_spec("matplotlib") is None:
        raise OutputError("--plot requires matplotlib: pip install matplotlib")
    if arguments.temperature and len(arguments.temperature) > MAX_PANELS:
        raise OutputError(
            f"--plot: a figure has at most {MAX_PANELS} temperatures, not {len(arguments.temperature)}"
        )
    path = Path(arguments.plot)
    check_output("--plot", path, "figure", prog, is_temperature_plot)
    figure = plot_temperatures(_compare(arguments, sampling, model, prompt, PLOTTED_TEMPERATURES))
    write_output(path, render(figure, path.suffix))
    if arguments.plot == DEFAULT_PLOT:
        write_stderr(f"wrote {path}\n")


def _compare(
    arguments: argparse.Namespace,
    sampling: Sampling,
    model: Model,
    prompt: str | None,
    default: Sequence[float],
) -> "TemperatureComparison":
    from textgen_runtime.scoring.temperatures import compare_temperatures

    return compare_temperatures(
        model,
        prompt,
        arguments.temperature or default,
        # The seed selects the prompt if there is none. The same command shows the same distributions.
        seed=arguments.seed or 0,
        unknown=arguments.unknown,
        sampling=sampling,
    )


def _describe(sampling: Sampling) -> str:
    """Return the parameters that are not at their defaults, besides the temperature; may be empty."""
    changed = [f"{name}={value!r}" for name, value in sampling.changed().items() if name != "temperature"]
    return f"with {', '.join(changed)}" if changed else ""
