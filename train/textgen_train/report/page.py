"""The report of a training run: one self-contained HTML page, without scripts or files of other hosts.

The page is built from the history of the run, its model file, and facts that do not change. A resumed run
therefore gives the same page as one that was never interrupted. ``report.html`` is rewritten at each
evaluation.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from textgen_runtime.corpus import REPORT_FILE
from textgen_runtime.errors import ModelFileError, OutputError
from textgen_runtime.files import replace_file
from textgen_runtime.model import Model
from textgen_runtime.model_file import MODEL_FILE, Metadata, Quantization, read_model
from textgen_runtime.sampler import entropy
from textgen_runtime.temperatures import TemperatureComparison, compare_temperatures

from textgen_train.export.network import Network, network_of
from textgen_train.export.written_models import open_written
from textgen_train.loop.events import Evaluation, EvaluationHistory, Watcher

from .chart import format_duration
from .facts import RunFacts, corpus_facts, network_table, recipe_table, run_facts, usage
from .files import QuantizedFile
from .html import definitions, fill_page, html, section
from .losses import Reference, References, loss_section
from .texts import copied_text, measure_copied_text, sample_moments, temperature_section

if TYPE_CHECKING:
    from textgen_train.loop.run import TrainingRun

# Sections that take the full width of a wide screen. The others share it.
WIDE_SECTIONS = ("Loss", "Samples", "Temperature")


@dataclass(frozen=True)
class BestModel:
    """What the report shows of the model file.

    Attributes:
        copied: The share of its texts that is copied from the training text, by temperature; empty until
            the run is complete, and if it generates no text without a prompt.
    """

    network: Network
    metadata: Metadata
    comparison: TemperatureComparison
    copied: Mapping[float, float] = field(default_factory=dict)


def report_page(  # noqa: PLR0913 (keywords, each a part of the page)
    facts: RunFacts,
    history: EvaluationHistory,
    *,
    status: str,
    model: BestModel | None,
    references: Sequence[Reference],
    notes: str = "",
    quantization: Quantization | None = None,
) -> str:
    """Return the report as HTML.

    Args:
        history: At least one evaluation.
        model: The best model; None if its file cannot be read.
        quantization: The losses of the 8-bit version of the model; None if there is none.
    """
    best = history.best
    sections = [
        ("Loss", loss_section(history, references, notes)),
        (
            "Samples",
            sample_moments(history.evaluations, history.samples, best)
            + copied_text(model.copied if model else {}, facts.dataset),
        ),
    ]
    if model:
        sections += [
            ("Temperature", temperature_section(model.comparison)),
            ("Network", network_table(model.network, model.metadata.training.get("parameters", 0))),
            ("Corpus", corpus_facts(facts, model.metadata.training)),
        ]
    sections.append(("Recipe", recipe_table(facts)))
    if model:
        sections.append(("Run", run_facts(facts, model.metadata.training)))
    if use := usage(facts, model.metadata if model else None):
        sections.append(("Use the model", use))
    return fill_page(
        title=f"{facts.specification.corpus.name}: training report",
        status=status,
        summary=_summary(best, history.evaluations[-1], model, quantization),
        sections=[
            section(name, content, wide=name in WIDE_SECTIONS) for name, content in sections if content
        ],
    )


def _summary(
    best: Evaluation, last: Evaluation, model: BestModel | None, quantization: Quantization | None
) -> str:
    pairs = [
        ("best held-out loss", f"{best.held_out_nats:.4f} nats per character"),
        ("in bits", f"{best.bits_per_character:.3f} bits per character"),
        ("time", html(format_duration(last.seconds))),
        ("epochs", f"{last.epoch:,.1f}"),
        ("updates", f"{last.step:,}"),
    ]
    if model:
        pairs.insert(2, ("parameters", f"{model.metadata.training.get('parameters', 0):,}"))
    if quantization and quantization.loss is not None:
        pairs.insert(2, ("with 8-bit weights", f"{quantization.loss:.4f} nats per character"))
    return definitions(pairs)


# At the end of a run, the longest time to wait for the references. They usually were complete long before.
MAX_WAIT_SECONDS = 5.0


class ReportPage(Watcher):
    """Rewrites the report at each evaluation and at the end of the run.

    Args:
        run: The run.
        facts: The facts of the run.
        references: Measured in the background from the start of the run on.
        warn: Called with one line if the report cannot be written.
        quantized: Writes the 8-bit model before the end of the run; None if there is none.
    """

    def __init__(
        self,
        run: "TrainingRun",
        facts: RunFacts,
        references: References,
        warn: Callable[[str], None],
        quantized: QuantizedFile | None = None,
    ) -> None:
        self._run, self._facts, self._references, self._warn = run, facts, references, warn
        self._quantized = quantized
        self._is_started = False
        self._model: tuple[Evaluation, BestModel | None] | None = None
        self.files: list[str] = []

    def on_start(self) -> None:
        self._is_started = True
        self._references.start()

    def on_evaluation(self, history: EvaluationHistory) -> None:
        self._write(
            history,
            f"The run is in progress: {self._percentage} of its budget is used.",
            "Some reference models are still being computed.",
        )

    def on_end(self) -> None:
        # A resumed run has the history of the run before, even if no evaluation follows. If it is interrupted
        # before its start, nothing has changed, and the report of the run before stays.
        history = self._run.evaluator.history
        if history is None or not self._is_started:
            return
        self._references.wait(MAX_WAIT_SECONDS)
        self._write(history, self._end_status(), "The run ended before all reference models were computed.")

    def _end_status(self) -> str:
        if self._run.is_complete:
            return "The run is complete."
        if self._run.trainer.progress >= 1:
            return "The budget is used, but the run is not complete."
        return f"The run ended early, after {self._percentage} of its budget."

    @property
    def _percentage(self) -> str:
        # Rounded down, because 100% would be the end.
        return f"{math.floor(100 * self._run.trainer.progress)}%"

    def _write(self, history: EvaluationHistory, status: str, if_incomplete: str) -> None:
        is_complete = self._references.wait(0)
        page = report_page(
            self._facts,
            history,
            status=status,
            model=self._best_model(history.best),
            references=self._references.results,
            notes=self._references.bounds if is_complete else if_incomplete,
            quantization=self._quantized.quantization if self._quantized else None,
        )
        try:
            # A name may have lone surrogates.
            replace_file(self._facts.folder / REPORT_FILE, page.encode(errors="replace"))
            self.files = [REPORT_FILE]
        except OutputError as error:
            self.files = []
            # The run continues, because the model matters more than its report.
            self._warn(f"{error}; the model file is not affected")

    def _best_model(self, best: Evaluation) -> BestModel | None:
        """Return what the report shows of the model file.

        It is read again only if it has changed, and when the run is complete.
        """
        is_complete = self._run.is_complete
        if self._model is None or self._model[0] != best or is_complete:
            try:
                model = open_written(read_model(self._facts.folder / MODEL_FILE))
            except ModelFileError:
                # Another program has removed it. The rest of the report is still useful.
                return None
            copied = measure_copied_text(model, self._facts.dataset) if is_complete else {}
            self._model = (
                best,
                BestModel(network_of(model.engine), model.metadata, _most_open(model), copied),
            )
        return self._model[1]


def _most_open(model: Model) -> TemperatureComparison:
    """Return the distributions after the prompt whose next character is the hardest to predict.

    There the effect of the temperature is visible best.
    """
    prompts: Sequence[str | None] = model.metadata.prompts
    if not prompts:
        # A record needs no prompt. All other models without prompts are of bytes, and any byte is a prompt.
        prompts = (None if model.metadata.records else "\n",)
    comparisons = [compare_temperatures(model, prompt) for prompt in prompts]
    return max(comparisons, key=lambda comparison: entropy(comparison.original))
