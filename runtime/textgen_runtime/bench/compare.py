"""Two reports beside each other: the ratios that both have, and which of them became worse.

Only ratios are compared. Times change with the machine, and on the same one from minute to minute; a ratio
is of two figures that were measured in turn.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .document import ReportError, read_report
from .report import Section

# Options that change what the figures of a section mean.
OPTIONS = ("temperature", "quick")

SHORT_SHA = 12


@dataclass(frozen=True)
class Change:
    """One ratio in two reports.

    Attributes:
        name: Model, section and figure.
        old: In the older report.
        new: In the newer one.
    """

    name: str
    old: float
    new: float

    @property
    def percent(self) -> float:
        """By how much it became worse, in percent; below 0 if it became better. Less is better."""
        return 100 * (self.new / self.old - 1)


@dataclass(frozen=True)
class Comparison:
    """What two reports have in common.

    Attributes:
        title: Which reports they are.
        changes: The ratios that both have.
        notes: How the reports differ otherwise, a line each.
    """

    title: str
    changes: list[Change]
    notes: list[str]

    def worse(self, limit: float) -> list[Change]:
        """Ratios that became worse by more than so many percent, the worst first."""
        found = [change for change in self.changes if change.percent > limit]
        return sorted(found, key=lambda change: -change.percent)

    def table(self, limit: float | None) -> Section:
        """The table of all changes.

        Args:
            limit: From how many percent on a change is marked, or None to mark none.
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


def read_old(path: Path, models: int) -> dict[str, Any]:
    """Read a report to compare with, and see that it can be compared, before a new one is measured.

    Args:
        path: Of the report.
        models: How many models the new report is of.

    Raises:
        ReportError: If it is no report, is damaged, or is of another number of models.
    """
    old = read_report(path)
    # Compared with itself, it must be whole.
    compare(old, old, path)
    _check_models(len(old["models"]), models, path)
    return old


def _check_models(old: int, new: int, path: Path) -> None:
    if old != new:
        raise ReportError(
            f"{path} is of {old} model{'s' * (old != 1)}, and this report of {new}: name as many, in their "
            "order"
        )


def compare(old: Mapping[str, Any], new: Mapping[str, Any], path: Path) -> Comparison:
    """Compare two reports, the first model of one with the first of the other, and so on.

    Args:
        old: The older report.
        new: The newer one.
        path: Of the older one.

    Raises:
        ReportError: If the older one is damaged, is of another number of models, or has no ratio in common
            with the newer one.
    """
    try:
        changes, notes = _compare(old, new, path)
        date = str(old["date"])
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError):
        raise ReportError(f"the report {path} is damaged: measure again") from None
    if not changes:
        raise ReportError(f"{path} has no ratio in common with this report: choose the same sections")
    return Comparison(f"ratios compared with {path} of {date}; less is better", changes, notes)


def _compare(old: Mapping[str, Any], new: Mapping[str, Any], path: Path) -> tuple[list[Change], list[str]]:
    _check_models(len(old["models"]), len(new["models"]), path)
    changes: list[Change] = []
    notes = list(_differences(old, new))
    for before, after in zip(old["models"], new["models"], strict=True):
        label = f"{Path(after['file']).name}, " if len(new["models"]) > 1 else ""
        olds, news = dict(_ratios(before)), dict(_ratios(after))
        changes += [Change(label + name, olds[name], value) for name, value in news.items() if name in olds]
        for which, one, other in (("the old", olds, news), ("this", news, olds)):
            alone = [name for name in one if name not in other]
            if alone:
                notes.append(f"only in {which} report: {label}{'; '.join(alone)}")
    return changes, notes


def _differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    for before, after in zip(old["models"], new["models"], strict=True):
        if before["sha256"] != after["sha256"]:
            yield f"another model: {_model(before)} then, {_model(after)} now"
    processors = [report["machine"]["processor"] for report in (old, new)]
    if processors[0] != processors[1]:
        yield f"another processor: {processors[0]} then, {processors[1]} now"
    for option in OPTIONS:
        values = [report["options"][option] for report in (old, new)]
        if values[0] != values[1]:
            yield f"another {option}: {values[0]} then, {values[1]} now"


def _model(described: Mapping[str, Any]) -> str:
    return (
        f"{described['file']} ({described['layers']} x {described['units']} units, "
        f"{described['vocabulary']} characters, sha256 {described['sha256'][:SHORT_SHA]})"
    )


def _ratios(model: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """Names and values of a model's ratios.

    Raises:
        ValueError: If one is no number above 0.
    """
    for section, measured in model["sections"].items():
        for name, ratio in measured["ratios"].items():
            value = float(ratio["value"])
            if not (math.isfinite(value) and value > 0):
                raise ValueError(name)
            yield f"{section}: {name}", value
