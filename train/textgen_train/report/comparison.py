"""The comparison of several training runs: a table, and a page with curves."""

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from textgen_runtime.model_file import stored_option_name

from textgen_train.parameters import format_value

from .chart import Chart, Curve, figure, format_duration, time_unit
from .compared_run import ComparedRun
from .html import fill_page, html, section, table

# The beginning of the title of the page.
TITLE = "Comparison of "

COLUMNS = ("parameters", "time", "epochs", "updates", "best nats", "bits", "last nats", "characters/s")
DIFFERENT_VALUES, SEPARATOR = "different values", ", "
# Colors of the style sheet. More runs use them again.
STYLES = 8
MAX_NAME = 14


def comparison_table(runs: Sequence[ComparedRun]) -> tuple[list[str], list[tuple[str, list[str]]]]:
    """Return a table with a row for each run.

    Returns:
        The headings of all columns but the first, and the name of each run with the cells of its row.
    """
    rows = []
    for run in runs:
        best, last = run.best, run.last
        parameters, speed = run.training.get("parameters"), last.characters_per_second
        cells = [
            f"{parameters:,}" if isinstance(parameters, int) else "?",
            format_duration(last.seconds) + " so far" * run.is_running,
            f"{last.epoch:.1f}",
            f"{last.step:,}",
            f"{best.held_out_nats:.4f}",
            f"{best.bits_per_character:.3f}",
            f"{last.held_out_nats:.4f}",
            f"{speed:,.0f}" if speed else "?",
        ]
        rows.append((run.name, cells))
    return list(COLUMNS), rows


def described_values(runs: Sequence[ComparedRun]) -> list[list[str]]:
    """Return for each run the settings in which the runs differ, such as "units 88"."""
    return [
        [f"{stored_option_name(name)} {_shown(value)}" for name, value in values.items()]
        if run.settings
        else ["unknown, without a model"]
        for run, values in zip(runs, different_values(runs), strict=True)
    ]


def different_values_list(runs: Sequence[ComparedRun]) -> str:
    """Return a line for each run with the settings in which the runs differ, or "" if there are none."""
    described = described_values(runs)
    if not any(described):
        return ""
    width = max(len(run.name) for run in runs)
    rows = zip(runs, described, strict=True)
    lines = [f"  {run.name:<{width}}  {SEPARATOR.join(values)}" for run, values in rows]
    return "".join(f"{line.rstrip()}\n" for line in [DIFFERENT_VALUES, *lines])


def different_values(runs: Sequence[ComparedRun]) -> list[dict[str, Any]]:
    """Return for each run its settings in which the runs differ."""
    all_settings = [run.settings for run in runs]
    known = [settings for settings in all_settings if settings]
    names = {name: None for settings in known for name in settings}
    different = [name for name in names if len({repr(settings.get(name)) for settings in known}) > 1]
    return [{name: settings[name] for name in different if name in settings} for settings in all_settings]


def describe_different_texts(runs: Sequence[ComparedRun]) -> str:
    """Return a warning if the runs have different training or held-out texts; otherwise ""."""
    known = sorted((run for run in runs if run.text), key=lambda run: repr(run.text))
    groups = [[run.name for run in group] for _, group in groupby(known, key=lambda run: run.text)]
    if len(groups) < 2:  # noqa: PLR2004 (two different texts)
        return ""
    listed = "; ".join(", ".join(names) for names in groups)
    return (
        "the runs do not have the same corpus, normalization, rare characters and held-out text, so their "
        f"losses cannot be compared: {listed}"
    )


def comparison_page(runs: Sequence[ComparedRun], warnings: Sequence[str]) -> str:
    """Return a self-contained HTML page with the table and the curves of the held-out losses."""
    unit, length = time_unit(max(run.last.seconds for run in runs))
    charts = [
        _chart("updates", runs, [[float(item.step) for item in run.evaluations] for run in runs]),
        _chart(unit, runs, [[item.seconds / length for item in run.evaluations] for run in runs]),
    ]
    figures = "".join(map(figure, charts))
    columns, cells_of_runs = comparison_table(runs)
    rows = [
        [
            f'<span class="key {style(number)}">{html(name)}</span>',
            *map(html, [*cells, SEPARATOR.join(values)]),
        ]
        for number, ((name, cells), values) in enumerate(
            zip(cells_of_runs, described_values(runs), strict=True)
        )
    ]
    notes = "".join(f"<p><mark>Warning</mark> {html(warning)}</p>" for warning in warnings)
    numbers = range(1, len(columns) + 1)
    headings = ["run", *columns, DIFFERENT_VALUES]
    content = table("Losses on the held-out text, per character", headings, rows, numbers)
    return fill_page(
        title=f"{TITLE}{len(runs)} training run{'s' * (len(runs) > 1)}",
        status="",
        summary=notes,
        sections=[section("Loss", f'{content}<div class="charts">{figures}</div>')],
    )


def style(number: int) -> str:
    """Return the classes of a run in the style sheet."""
    return f"run run{number % STYLES}"


def _chart(unit: str, runs: Sequence[ComparedRun], positions: Sequence[Sequence[float]]) -> Chart:
    curves = []
    for number, (run, places) in enumerate(zip(runs, positions, strict=True)):
        values = [item.held_out_nats for item in run.evaluations]
        tooltips = [
            f"{run.name}: {value:.4f} nats, update {item.step:,}"
            for value, item in zip(values, run.evaluations, strict=True)
        ]
        curves.append(Curve(style(number), [*zip(places, values, strict=True)], tooltips))
    return Chart(
        name=f"loss-{unit}",
        title=f"Held-out loss over {unit}",
        description="The table above has the best and the last loss of each run.",
        x_label=unit,
        curves=curves,
        marks=[(_short(run.name), run.last.held_out_nats, style(number)) for number, run in enumerate(runs)],
    )


def _shown(value: object) -> str:
    """Return a value of a model file, which may have any type."""
    return format_value(value) if isinstance(value, str | int | float) else str(value)


def _short(name: str) -> str:
    return name if len(name) <= MAX_NAME else f"{name[: MAX_NAME - 1]}\u2026"
