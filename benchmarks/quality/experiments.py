"""Experiments on the quality of the presets: one table of configurations, one file of results, one page.

    python -m benchmarks.quality.experiments run SECTION ... --corpora FOLDER
    python -m benchmarks.quality.experiments ngrams CORPUS ... --corpora FOLDER
    python -m benchmarks.quality.experiments page

``run`` trains what the file of results lacks, and appends a line for each trial. ``page`` writes
``docs/experiments.md`` from the file. A trial has one thread. Two processes can run two sections at once.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from textwrap import fill
from typing import Any, NamedTuple

from textgen_runtime.scoring.baselines import KneserNey
from textgen_runtime.system.files import replace_file

from .section import Section
from .sections import INTRODUCTION, SECTIONS
from .trial import SOURCES, VALIDATION, model_path, read_dataset, run_trial

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
        nats: The loss of each seed.
        training_nats: Mean training loss.
        seconds: Mean duration of the training.
    """

    nats: Mapping[int, float]
    training_nats: float
    seconds: float

    @classmethod
    def of(cls, results: Sequence[Mapping[str, Any]]) -> "Mean":
        """Return the mean of the lines of an experiment."""
        training_nats, seconds = (
            fmean(result[name] for result in results) for name in ("training_nats", "seconds")
        )
        return cls({result["seed"]: result["nats"] for result in results}, training_nats, seconds)

    def row(self, label: str, first: "Mean") -> str:
        """Return the row of the page; ``first`` is the row that it is compared with, on the same seeds."""
        losses = list(self.nats.values())
        spread = f" ± {(max(losses) - min(losses)) / 2:.4f}" if len(losses) > 1 else ""
        common = self.nats.keys() & first.nats.keys()
        difference = "" if self is first else f"{fmean(self.nats[i] - first.nats[i] for i in common):+.4f}"
        cells = (f"{fmean(losses):.4f}{spread}", difference, f"{self.training_nats:.4f}", len(losses))
        return f"| {label} | {' | '.join(map(str, cells))} | {self.seconds:,.0f} |\n"


def read_results(path: Path = RESULTS) -> Results:
    """Return the lines of a file of results. A repeated trial replaces the earlier one."""
    found: dict[tuple[str, str], dict[int, dict[str, Any]]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        result = json.loads(line)
        found.setdefault((result["section"], result["label"]), {})[result["seed"]] = result
    return {key: [results[seed] for seed in sorted(results)] for key, results in found.items()}


def make_page(results: Results) -> str:
    """Return the text of the page.

    Raises:
        KeyError: If a row has no result.
    """
    parts = [INTRODUCTION]
    for name, section in SECTIONS.items():
        rows = make_rows(name, section, results)
        parts.append(f"## {section.title}\n\n{section.about}\n\n{HEAD}{rows}\n{bullets(section.findings)}")
    return "\n".join(parts)


def bullets(findings: Sequence[str]) -> str:
    """Return a list in Markdown, with lines of limited length."""
    return "".join(
        fill(finding, LINE_LENGTH, initial_indent="- ", subsequent_indent="  ", break_on_hyphens=False) + "\n"
        for finding in findings
    )


def make_rows(name: str, section: Section, results: Results) -> str:
    """Return the rows of a section. All are compared with the first one."""
    means = [Mean.of(results[name, experiment.label]) for experiment in section.experiments]
    labels = [experiment.label for experiment in section.experiments]
    return "".join(mean.row(label, means[0]) for label, mean in zip(labels, means, strict=True))


def run_missing(name: str, seed: int, corpora: Path, models: Path) -> None:
    """Run the trials of a section that the file of results lacks, and append their results.

    The model of a teacher is also trained if its file is missing.
    """
    experiments, folder = SECTIONS[name].experiments, models / name
    teachers = {label for experiment in experiments for label in experiment.teachers}
    for experiment in experiments:
        label = experiment.label
        is_known = any(result["seed"] == seed for result in read_results().get((name, label), ()))
        if is_known and (label not in teachers or model_path(folder, label, seed).exists()):
            continue
        result = run_trial(experiment, seed, corpora, folder)
        with RESULTS.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"section": name, "label": label, **result}) + "\n")
        print(f"{name}: {label}, seed {seed}: {result['nats']:.4f} nats", flush=True)


def print_ngrams(name: str, corpora: Path) -> None:
    """Print the loss of a 7-gram on the validation part of a corpus, and the number of common symbols."""
    dataset = read_dataset(name, VALIDATION, corpora)
    ngrams = KneserNey(dataset.training, 7, len(dataset.tokenizer))
    nats = ngrams.surprisals(dataset.held_out, dataset.training).mean()
    print(f"{name}: {nats:.4f} nats; {dataset.common_symbols} of {len(dataset.tokenizer)} symbols are common")


def run_sections(arguments: argparse.Namespace) -> None:
    """Run the missing trials of the sections."""
    for name in arguments.sections:
        for seed in arguments.seeds:
            run_missing(name, seed, arguments.corpora, arguments.models)


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
    ngrams = actions.add_parser("ngrams", help="print the loss of a 7-gram on the same part of a corpus")
    ngrams.add_argument("names", nargs="+", choices=SOURCES)
    ngrams.add_argument("--corpora", type=Path, default=Path(), help="folder of the corpora without a name")
    arguments = command.parse_args()
    if arguments.action == "page":
        replace_file(PAGE, make_page(read_results()).encode())
    elif arguments.action == "ngrams":
        for name in arguments.names:
            print_ngrams(name, arguments.corpora)
    else:
        run_sections(arguments)


if __name__ == "__main__":
    main()
