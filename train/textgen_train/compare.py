"""``textgen-compare``: put training runs side by side, in a table and on a page with their curves."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any

from textgen_runtime.bench.report import Section
from textgen_runtime.cli.command import EXIT_FAILED, run_command
from textgen_runtime.cli.parser import CommandParser
from textgen_runtime.corpus import METRICS_FILE
from textgen_runtime.errors import ModelFileError, OutputError, TextgenError, shorten
from textgen_runtime.files import is_output, replace_file
from textgen_runtime.json_text import from_json
from textgen_runtime.model_file import MODEL_FILE, Metadata, open_metadata, read_model, stored_option_name
from textgen_runtime.terminal import print_diagnostic, terminal_safe

from .chart import Curve, draw, html, page, section, table
from .config import format_value
from .evaluate import Evaluation
from .folder import is_locked
from .progress import format_duration

PROG = "textgen-compare"

EXAMPLES = """\
examples:
  textgen-compare small medium
  textgen-compare runs/* --html comparison.html
"""

COLUMNS = ("parameters", "time", "epochs", "updates", "best nats", "bits", "last nats", "characters/s")

MAX_METRICS_BYTES = 2**26

# No run has a larger number, such as of updates.
MAX_VALUE = 1e15

# Colors of the style sheet. More runs use them again.
STYLES = 8


@dataclass(frozen=True)
class ComparedRun:
    """The results of a run.

    Attributes:
        name: The name of its folder, or its path if another run has the same name.
        evaluations: At least one evaluation.
        metadata: The metadata of its model; None without a model.
        is_running: Whether a process is still writing to the folder.
    """

    name: str
    evaluations: Sequence[Evaluation]
    metadata: Metadata | None
    is_running: bool

    @property
    def best(self) -> Evaluation:
        """The evaluation with the lowest held-out loss."""
        return min(self.evaluations, key=lambda evaluation: evaluation.held_out_nats)

    def training(self, name: str) -> dict[str, Any]:
        """Return a part of what the model file says of its training; {} if it says nothing of it."""
        found = self.metadata.training.get(name) if self.metadata else None
        return found if isinstance(found, dict) else {}

    @property
    def settings(self) -> dict[str, str]:
        """The hyperparameters, the budget and other choices of the user, as texts; empty without a model."""
        if self.metadata is None:
            return {}
        training, split = self.metadata.training, self.training("split")
        parent, unknown, teachers = self.training("parent"), split.get("unknown"), training.get("teachers")
        known = (
            [teacher for teacher in teachers if isinstance(teacher, dict)]
            if isinstance(teachers, list)
            else []
        )
        values: dict[str, Any] = {**self.training("recipe")}
        values |= {name: length for name, length in self.training("budget").items() if length is not None}
        values |= {
            "level": self.metadata.tokenizer.level,
            "records": self.metadata.records or "none",
            "min_count": unknown.get("min_count", 1) if isinstance(unknown, dict) else 1,
            "from": str(parent.get("sha256"))[:8] if parent else "random weights",
            "teacher": ", ".join(str(teacher.get("sha256"))[:8] for teacher in known) or "none",
        }
        return {name: format_value(value) for name, value in values.items()}

    @property
    def text(self) -> str:
        """What two runs must have in common so that their losses can be compared; "" if it is not known.

        The numbers of tokens do not count: losses of all levels are per character.
        """
        if self.metadata is None:
            return ""
        split = {
            name: value.get("symbols") if name == "unknown" and isinstance(value, dict) else value
            for name, value in self.training("split").items()
            if not name.endswith("_tokens")
        }
        return repr((self.metadata.training.get("sha256"), split, self.metadata.normalization))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the exit codes are those of ``textgen-train``."""
    return run_command(PROG, compare, parser().parse_args(argv))


def parser() -> CommandParser:
    """Return the argument parser of the command."""
    command = CommandParser(
        PROG,
        "Compare training runs: their losses, their durations, and the values in which their\n"
        "recipes differ. A run may still be going on.",
        EXAMPLES,
    )
    command.usage = "%(prog)s FOLDER... [OPTIONS]"
    command.add_argument(
        "folders", metavar="FOLDER", nargs="+", type=Path, help="an output folder of textgen-train"
    )
    command.add_argument(
        "--html",
        metavar="PATH",
        type=Path,
        help="also write an HTML page to PATH, with the table and the loss curves",
    )
    return command


def compare(arguments: argparse.Namespace) -> int:
    """Write the table to standard output; return the exit code.

    A folder that cannot be read does not stop the comparison of the others.
    """
    target: Path | None = arguments.html
    if target and target.exists() and not is_output(target):
        raise OutputError(
            f"--html {shorten(str(target))} exists and is not a page of a command: choose another path"
        )
    runs, warnings, code = [], list[str](), 0
    names = [folder.resolve().name for folder in arguments.folders]
    for folder, name in zip(arguments.folders, names, strict=True):
        try:
            runs.append(read_run(folder, str(folder) if names.count(name) > 1 else name, warnings))
        except TextgenError as error:
            print_diagnostic(PROG, str(error))
            code = EXIT_FAILED
    if not runs:
        return code
    texts = {run.text for run in runs if run.text}
    if len(texts) > 1:
        groups = [", ".join(run.name for run in runs if run.text == text) for text in sorted(texts)]
        warnings.append(
            "the runs do not have the same corpus, normalization, rare characters and held-out text, so "
            f"their losses cannot be compared: {'; '.join(groups)}"
        )
    for warning in warnings:
        print_diagnostic(PROG, warning, "warning")
    rows, differences = [(run.name, cells(run)) for run in runs], different_values(runs)
    if target:
        replace_file(target, comparison_page(runs, differences, warnings))
    # A folder may have a name that the output's encoding lacks.
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    sys.stdout.write(f"{Section('losses per held-out character', [*COLUMNS], rows)}\n")
    if any(differences):
        width = max(len(run.name) for run in runs)
        lines = [
            f"  {run.name:<{width}}  {values}".rstrip() for run, values in zip(runs, differences, strict=True)
        ]
        text = "".join([f"{line}\n" for line in ("\ndifferent values", *lines)])
        # Another program may have written the metadata.
        sys.stdout.write(terminal_safe(sys.stdout, text))
    return code


def read_run(folder: Path, name: str, warnings: list[str]) -> ComparedRun:
    """Read the results of a run, which may still be going on. Add warnings, single lines.

    Raises:
        TextgenError: If there are no metrics.
    """
    path = folder / METRICS_FILE
    try:
        if path.stat().st_size > MAX_METRICS_BYTES:
            raise TextgenError(f"{shorten(str(path))} is too large to be the metrics of a run")
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise TextgenError(
            f"cannot read {shorten(str(path))}: {error.strerror or error}: pass the output folder of a run"
        ) from None
    evaluations = [evaluation for line in lines if (evaluation := _evaluation(line))]
    if not evaluations:
        raise TextgenError(f"{shorten(str(path))} has no evaluation: wait for the first one")
    if damaged := len(lines) - len(evaluations):
        warnings.append(f"{shorten(str(path))}: ignored {damaged} damaged line{'s' * (damaged > 1)}")
    metadata = None
    try:
        metadata = Metadata.read(open_metadata(read_model(folder / MODEL_FILE)))
    except ModelFileError as error:
        warnings.append(f"{error}; the recipe of this run is not known")
    return ComparedRun(name, evaluations, metadata, is_locked(folder))


def _evaluation(line: bytes) -> Evaluation | None:
    """Return the evaluation of a line, or None if it is damaged. Unknown fields are ignored."""
    try:
        values = from_json(line)
        known = {
            field.name: float(values[field.name])
            for field in fields(Evaluation)
            if field.default is MISSING or values.get(field.name) is not None
        }
        if not all(abs(value) < MAX_VALUE for value in known.values()):
            return None
        return Evaluation(**{**known, "step": int(known["step"])})  # type: ignore[arg-type]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError):
        return None


def cells(run: ComparedRun) -> list[str]:
    """Return the row of a run."""
    best, last = run.best, run.evaluations[-1]
    parameters = run.metadata.training.get("parameters") if run.metadata else None
    return [
        f"{parameters:,}" if isinstance(parameters, int) else "?",
        format_duration(last.seconds) + " so far" * run.is_running,
        f"{last.epoch:.1f}",
        f"{last.step:,}",
        f"{best.held_out_nats:.4f}",
        f"{best.bits_per_character:.3f}",
        f"{last.held_out_nats:.4f}",
        f"{last.characters_per_second:,.0f}" if last.characters_per_second else "?",
    ]


def different_values(runs: Sequence[ComparedRun]) -> list[str]:
    """Return for each run the settings in which the runs differ, such as "units 88"."""
    all_settings = [run.settings for run in runs]
    known = [settings for settings in all_settings if settings]
    names = {name: None for settings in known for name in settings}
    different = [name for name in names if len({settings.get(name) for settings in known}) > 1]
    return [
        ", ".join(f"{stored_option_name(name)} {settings[name]}" for name in different if name in settings)
        if settings
        else "unknown, without a model"
        for settings in all_settings
    ]


def comparison_page(
    runs: Sequence[ComparedRun], differences: Sequence[str], warnings: Sequence[str]
) -> bytes:
    """Return a page with the table and the curves of the held-out losses."""
    curves, rows = [], []
    for number, (run, values) in enumerate(zip(runs, differences, strict=True)):
        style = f"run run{number % STYLES}"
        points = [(item.seconds, item.held_out_nats) for item in run.evaluations]
        tooltips = [f"{run.name}: {nats:.4f} nats" for _, nats in points]
        curves.append(Curve(style, shorten(run.name, 14), points, tooltips))
        rows.append([f'<span class="key {style}">{html(run.name)}</span>', *map(html, [*cells(run), values])])
    notes = "".join(f"<p><mark>Warning</mark> {html(warning)}</p>" for warning in warnings)
    losses = table("Losses on the held-out text, per character", ["run", *COLUMNS, "different values"], rows)
    title = f"Comparison of {len(runs)} training run{'s' * (len(runs) > 1)}"
    return page(title, "", [section("Loss", f"{notes}{losses}{draw('Held-out loss over time', curves)}")])
