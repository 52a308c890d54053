"""Experiments on the quality of the presets: one table of configurations, one file of results, one page.

    python -m benchmarks.quality.experiments run SECTION ... --corpora FOLDER
    python -m benchmarks.quality.experiments page

``run`` trains what the file of results lacks, and appends a line for each trial. ``page`` writes
``docs/experiments.md`` from the file. A trial has one thread, so two of them fit on two processors.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from textwrap import fill
from typing import Any, NamedTuple

from textgen_runtime.system.files import replace_file

from .sections import INTRODUCTION, SECTIONS, Section
from .trial import run_trial

RESULTS = Path(__file__).with_name("experiments.jsonl")
PAGE = Path(__file__).parents[2] / "docs" / "experiments.md"

# The lines of the file of results, by section and label, in the order of their seeds.
Results = Mapping[tuple[str, str], Sequence[Mapping[str, Any]]]

LINE_LENGTH = 110
HEAD = (
    "| configuration | loss | difference | training loss | seeds | seconds |\n"
    "|---|---:|---:|---:|---:|---:|\n"
)


class Mean(NamedTuple):
    """The results of all seeds of an experiment.

    Attributes:
        spread: Half of the difference between the highest and the lowest loss.
    """

    seeds: int
    nats: float
    spread: float
    training_nats: float
    seconds: float

    @classmethod
    def of(cls, results: Sequence[Mapping[str, Any]]) -> "Mean":
        """Return the mean of the lines of an experiment."""
        nats = [result["nats"] for result in results]
        training_nats, seconds = (
            fmean(result[name] for result in results) for name in ("training_nats", "seconds")
        )
        return cls(len(nats), fmean(nats), (max(nats) - min(nats)) / 2, training_nats, seconds)

    def row(self, label: str, first: "Mean | None") -> str:
        """Return the row of the page; ``first`` is the mean that it is compared with."""
        spread = f" ± {self.spread:.4f}" if self.seeds > 1 else ""
        difference = "" if first is None else f"{self.nats - first.nats:+.4f}"
        cells = (f"{self.nats:.4f}{spread}", difference, f"{self.training_nats:.4f}", self.seeds)
        return f"| {label} | {' | '.join(map(str, cells))} | {self.seconds:,.0f} |\n"


def read_results(path: Path = RESULTS) -> Results:
    """Return the lines of a file of results. A repeated trial replaces the earlier one."""
    found: dict[tuple[str, str], dict[int, dict[str, Any]]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        result = json.loads(line)
        found.setdefault((result["section"], result["label"]), {})[result["seed"]] = result
    return {key: [results[seed] for seed in sorted(results)] for key, results in found.items()}


def make_page(results: Results) -> str:
    """Return the text of the page. Experiments without results are left out."""
    parts = [INTRODUCTION]
    for name, section in SECTIONS.items():
        rows = make_rows(name, section, results)
        if rows:
            parts.append(
                f"## {section.title}\n\n{section.about}\n\n{HEAD}{rows}\n{bullets(section.findings)}"
            )
    return "\n".join(parts)


def bullets(findings: Sequence[str]) -> str:
    """Return a list in Markdown, with lines of limited length."""
    return "".join(
        fill(finding, LINE_LENGTH, initial_indent="- ", subsequent_indent="  ", break_on_hyphens=False) + "\n"
        for finding in findings
    )


def make_rows(name: str, section: Section, results: Results) -> str:
    """Return the rows of a section. The first one is what the others are compared with."""
    rows, first = "", None
    for experiment in section.experiments:
        if (name, experiment.label) in results:
            mean = Mean.of(results[name, experiment.label])
            rows += mean.row(experiment.label, first)
            first = first or mean
    return rows


def run_missing(name: str, seed: int, corpora: Path, models: Path) -> None:
    """Run the trials of a section that the file of results lacks, and append their results."""
    for experiment in SECTIONS[name].experiments:
        known = read_results().get((name, experiment.label), ())
        if all(result["seed"] != seed for result in known):
            result = run_trial(experiment, seed, corpora, models / name)
            with RESULTS.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"section": name, "label": experiment.label, **result}) + "\n")
            print(f"{name}: {experiment.label}, seed {seed}: {result['nats']:.4f} nats", flush=True)


def main() -> None:
    """Run trials, or write the page."""
    command = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    actions = command.add_subparsers(dest="action", required=True)
    actions.add_parser("page", help="write docs/experiments.md")
    run = actions.add_parser("run", help="run the trials that are missing")
    run.add_argument("sections", nargs="+", choices=SECTIONS)
    run.add_argument("--seeds", nargs="+", type=int, default=[0], help="default: 0")
    run.add_argument("--corpora", type=Path, default=Path(), help="folder of the corpora without a name")
    run.add_argument("--models", type=Path, default=Path("experiments"), help="folder of the models")
    arguments = command.parse_args()
    if arguments.action == "page":
        replace_file(PAGE, make_page(read_results()).encode())
        return
    for name in arguments.sections:
        for seed in arguments.seeds:
            run_missing(name, seed, arguments.corpora, arguments.models)


if __name__ == "__main__":
    main()
