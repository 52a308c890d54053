"""The comparison of several training runs: a table, and a page with curves."""

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from textgen_runtime.model_file.recipe_names import stored_option_name

from textgen_train.hyperparameters import format_value

from .chart import Chart, Curve, figure
from .compared_run import ComparedRun
from .html_text import html, table
from .page_frame import fill_page, section
from .progress import format_duration
from .scales import time_unit

# The beginning of the title of the page.
TITLE = "Comparison of "

COLUMNS = (
    "parameters",
    "time",
    "epochs",
    "updates",
    "best nats",
    "bits",
    "last nats",
    "speed",
    "different values",
)
# Colors of the style sheet. More runs use them again.
STYLES = 8
MAX_NAME = 14


def comparison_rows(runs: Sequence[ComparedRun]) -> list[tuple[str, list[str]]]:
    """Return the name of each run and the cells of its row, one for each of ``COLUMNS``."""
    different = different_values(runs)
    rows = []
    for run, values in zip(runs, different, strict=True):
        best, last = run.best, run.last
        parameters = run.training.get("parameters")
        speed = last.characters_per_second or last.windows_per_second
        unit = "characters/s" if last.characters_per_second else "windows/s"
        cells = [
            f"{parameters:,}" if isinstance(parameters, int) else "?",
            format_duration(last.seconds) + " so far" * run.is_running,
            f"{last.epoch:.1f}",
            f"{last.step:,}",
            f"{best.held_out_nats:.4f}",
            f"{best.bits_per_character:.3f}",
            f"{last.held_out_nats:.4f}",
            f"{speed:,.0f} {unit}" if speed else "?",
            ", ".join(f"{stored_option_name(name)} {_shown(value)}" for name, value in values.items())
            if run.settings
            else "unknown, without a model",
        ]
        rows.append((run.name, cells))
    return rows


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
        "the runs do not have the same corpus, normalization and held-out text, so their losses cannot be "
        f"compared: {listed}"
    )


def comparison_page(runs: Sequence[ComparedRun], warnings: Sequence[str]) -> str:
    """Return a self-contained HTML page with the table and the curves of the held-out losses."""
    unit, length = time_unit(max(run.last.seconds for run in runs))
    charts = [
        _chart("updates", runs, [[float(item.step) for item in run.evaluations] for run in runs]),
        _chart(unit, runs, [[item.seconds / length for item in run.evaluations] for run in runs]),
    ]
    figures = "".join(map(figure, charts))
    rows = [
        [f'<span class="key {style(number)}">{html(name)}</span>', *map(html, cells)]
        for number, (name, cells) in enumerate(comparison_rows(runs))
    ]
    notes = "".join(f"<p><mark>Warning</mark> {html(warning)}</p>" for warning in warnings)
    numbers = range(1, len(COLUMNS))
    content = table("Losses on the held-out text, per character", ["run", *COLUMNS], rows, numbers)
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
