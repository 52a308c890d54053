"""The comparison of two reports: which ratios became worse.

Only ratios are compared. Times differ between machines, and from minute to minute on the same machine. The
two figures of a ratio are measured in alternating rounds.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .report import ReportError, Section, format_vocabulary, read_report

# Options that affect the ratios.
OPTIONS = ("temperature", "quick")

SHORT_SHA = 12


@dataclass(frozen=True)
class Change:
    """One ratio in two reports.

    Attributes:
        name: Model, section and figures.
        old: Value in the earlier report.
        new: Value in the present report.
    """

    name: str
    old: float
    new: float

    @property
    def percent(self) -> float:
        """The relative increase in percent. A positive value is worse, because lower ratios are better."""
        return 100 * (self.new / self.old - 1)


@dataclass(frozen=True)
class Comparison:
    """The result of comparing two reports.

    Attributes:
        title: Heading of the table.
        changes: The ratios that are in both reports.
        notes: Other differences between the reports.
    """

    title: str
    changes: list[Change]
    notes: list[str]

    def worse(self, limit: float) -> list[Change]:
        """Return the ratios that increased by more than ``limit`` percent, the largest increase first."""
        return sorted(
            (change for change in self.changes if change.percent > limit),
            key=lambda change: -change.percent,
        )

    def table(self, limit: float | None) -> Section:
        """Return a table of all changes.

        Args:
            limit: Increase in percent above which a ratio is marked as worse; None marks none.
        """
        marked = [] if limit is None else self.worse(limit)
        rows = [
            (
                change.name,
                [
                    f"{change.old:,.3f} x",
                    f"{change.new:,.3f} x",
                    f"{change.percent:+.1f}%",
                    "worse" if change in marked else "",
                ],
            )
            for change in self.changes
        ]
        return Section(self.title, ["old", "new", "change", ""], rows, notes=self.notes)


def read_comparable_report(path: Path, models: int) -> dict[str, Any]:
    """Read a report, and check before the measurements that the new report can be compared with it.

    Args:
        path: Path of the earlier report.
        models: Number of models in the new report.

    Raises:
        ReportError: If the file is not a report, is damaged, or has another number of models.
    """
    report = read_report(path)
    # Comparing the report with itself finds missing and invalid values.
    compare(report, report, path)
    _check_model_count(len(report["models"]), models, path)
    return report


def _check_model_count(old: int, new: int, path: Path) -> None:
    if old != new:
        raise ReportError(
            f"the report {path} has {old} model{'s' * (old != 1)} and this report has {new}: pass the same "
            "number of models, in the same order"
        )


def compare(old: Mapping[str, Any], new: Mapping[str, Any], path: Path) -> Comparison:
    """Compare two reports. Models are matched by position.

    Args:
        old: The earlier report.
        new: The present report.
        path: Path of the earlier report.

    Raises:
        ReportError: If the earlier report is damaged, has another number of models, or shares no ratio with
            the present report.
    """
    try:
        changes, notes = _compare(old, new, path)
        date = str(old["date"])
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError):
        raise ReportError(f"the report {path} is damaged: create it again") from None
    if not changes:
        raise ReportError(
            f"the report {path} has no ratio in common with this report: measure the same sections"
        )
    return Comparison(f"ratios compared with {path} ({date}); lower is better", changes, notes)


def _compare(old: Mapping[str, Any], new: Mapping[str, Any], path: Path) -> tuple[list[Change], list[str]]:
    _check_model_count(len(old["models"]), len(new["models"]), path)
    changes: list[Change] = []
    notes = list(_differences(old, new))
    for old_model, new_model in zip(old["models"], new["models"], strict=True):
        label = f"{Path(new_model['file']).name}, " if len(new["models"]) > 1 else ""
        old_ratios, new_ratios = dict(_ratios(old_model)), dict(_ratios(new_model))
        changes += [
            Change(label + name, old_ratios[name], value)
            for name, value in new_ratios.items()
            if name in old_ratios
        ]
        for report, ratios, other in (
            ("the earlier", old_ratios, new_ratios),
            ("this", new_ratios, old_ratios),
        ):
            unmatched = [name for name in ratios if name not in other]
            if unmatched:
                notes.append(f"only in {report} report: {label}{'; '.join(unmatched)}")
    return changes, notes


def _differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    for old_model, new_model in zip(old["models"], new["models"], strict=True):
        if old_model["sha256"] != new_model["sha256"]:
            yield f"different models: {_describe(old_model)} before, {_describe(new_model)} now"
    processors = [report["machine"]["processor"] for report in (old, new)]
    if processors[0] != processors[1]:
        yield f"different processors: {processors[0]} before, {processors[1]} now"
    for option in OPTIONS:
        values = [report["options"][option] for report in (old, new)]
        if values[0] != values[1]:
            yield f"different {option}: {values[0]} before, {values[1]} now"


def _describe(model: Mapping[str, Any]) -> str:
    return (
        f"{model['file']} ({model['layers']} x {model['units']} units, "
        f"{format_vocabulary(model)}, sha256 {model['sha256'][:SHORT_SHA]})"
    )


def _ratios(model: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """Yield the name and the value of each ratio of a model.

    Raises:
        ValueError: If a value is not a positive finite number.
    """
    for section_name, section in model["sections"].items():
        for name, ratio in section["ratios"].items():
            value = float(ratio["value"])
            if not (math.isfinite(value) and value > 0):
                raise ValueError(name)
            yield f"{section_name}: {name}", value
