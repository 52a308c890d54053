"""The report of a training run: one self-contained HTML page, without scripts or files of other hosts.

The page is built from the history of the run, its model file, and facts that do not change. A resumed run
therefore gives the same page as one that was never interrupted.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from textgen_runtime.model_file.metadata import Metadata
from textgen_runtime.model_file.network import Network
from textgen_runtime.model_file.quantization import Quantization
from textgen_runtime.scoring.prediction import BITS_PER_NAT
from textgen_runtime.scoring.temperatures import TemperatureComparison

from textgen_train.loop.eval_result import Evaluation
from textgen_train.loop.watcher import EvaluationHistory

from .distributions import draw_distributions
from .facts import RunFacts
from .html_text import definitions, html, table
from .loss_charts import evaluation_table, loss_charts
from .page_frame import fill_page, section
from .references import Reference
from .run_tables import corpus_facts, network_table, recipe_table, run_facts, usage
from .sample_moments import sample_moments
from .scales import format_duration

EXPLANATION = """
The loss is the mean negative log-probability of the next character. Lower is better. The curves
<span class="key held-out">held out</span> and <span class="key training">training</span> are computed alike:
the first on text that is not used for training, the second on a part of the training text. If the held-out
loss rises while the training loss falls, the model is overfitted. The
<span class="key running">thin curve</span> is the loss during training, with dropout.
"""

REFERENCES = """
The n-gram model has Kneser-Ney smoothing, and the same training text. The figure of a compressor is the size
of both texts together minus that of the training text, when compressed, per held-out character.
"""

# Sections that take the full width of a wide screen. The others share it.
WIDE_SECTIONS = ("Loss", "Samples", "Temperature")

# Characters of the prompt above the figure of temperatures.
MAX_PROMPT = 60


@dataclass(frozen=True)
class BestModel:
    """What the report shows of the model file.

    Attributes:
        network: The layers.
        metadata: The metadata of the file.
        comparison: The distribution of the next character at several temperatures.
    """

    network: Network
    metadata: Metadata
    comparison: TemperatureComparison


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
        facts: The facts of the run.
        history: At least one evaluation.
        status: Whether the run is complete, in words.
        model: The best model; None if its file cannot be read.
        references: Losses for comparison. May be empty.
        notes: Sentences on the references.
        quantization: The losses of the 8-bit version of the model; None if there is none.
    """
    best = history.best
    sections = [
        ("Loss", _losses(history, references, notes)),
        ("Samples", sample_moments(history.evaluations, history.samples, best)),
    ]
    if model:
        sections += [
            ("Temperature", _temperatures(model.comparison)),
            ("Network", network_table(model.network, model.metadata.training.get("parameters", 0))),
            ("Corpus", corpus_facts(facts, model.metadata.training)),
        ]
    sections.append(("Recipe", recipe_table(facts)))
    if model:
        sections.append(("Run", run_facts(facts, model.metadata.training)))
    if use := usage(facts, model.metadata if model else None):
        sections.append(("Use the model", use))
    return fill_page(
        title=f"{facts.corpus}: training report",
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


def _losses(history: EvaluationHistory, references: Sequence[Reference], notes: str) -> str:
    evaluations, best = history.evaluations, history.best
    parts = [
        f"<p>{EXPLANATION}</p>",
        f'<div class="charts">{loss_charts(evaluations, references)}</div>',
    ]
    if references:
        rows = [
            [html(name), f"{nats:.4f}", f"{nats * BITS_PER_NAT:.3f}"]
            for name, nats in (
                ("this model", best.held_out_nats),
                *((reference.name, reference.nats) for reference in references),
            )
        ]
        caption = "Held-out loss of simple models, for comparison"
        parts += [
            table(caption, ["model", "nats", "bits"], rows, (1, 2)),
            f"<p>{REFERENCES} {html(notes)}</p>",
        ]
    elif notes:
        parts.append(f"<p>{html(notes)}</p>")
    details = evaluation_table(evaluations, best)
    parts.append(f"<details><summary>All evaluations</summary>{details}</details>")
    return "\n".join(parts)


def _temperatures(comparison: TemperatureComparison) -> str:
    prompt = comparison.prompt.replace("\n", "\u21b5")
    shown = prompt if len(prompt) <= MAX_PROMPT else f"\u2026{prompt[-MAX_PROMPT:]}"
    after = f' after <q><bdi class="text">{html(shown)}</bdi></q>' if prompt else ""
    return (
        f"<p>The probabilities of the next {html(comparison.unit)}{after}. A low temperature favors the most "
        "likely ones, and a high temperature makes all of them more alike. The marks show temperature 1, the "
        "distribution of the model.</p>"
        f'<div class="temperatures">{draw_distributions(comparison)}</div>'
    )
