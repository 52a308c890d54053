"""The report of a run: one HTML page, which is rewritten at each evaluation. The verdict on the result."""

import math
import shlex
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textgen_runtime.errors import ModelFileError, ScoringError
from textgen_runtime.files import STANDARD_INPUT, replace_file
from textgen_runtime.model import Model
from textgen_runtime.model_file import MODEL_FILE, unambiguous_path
from textgen_runtime.sampling import TEMPERATURES
from textgen_runtime.tokenizer import BYTE, symbol_name

from .chart import Curve, definitions, draw, html, page, section, table
from .config import Config, hyperparameters, option_name
from .evaluate import BITS_PER_NAT, Evaluation, Sample, open_written
from .progress import format_duration

if TYPE_CHECKING:
    from textgen_runtime.temperatures import TemperatureComparison

    from .dataset import Dataset
    from .train import Run

# The order of the n-gram model that a network is compared with, and how much of long texts it reads.
ORDER, MAX_TRAINING_TOKENS, MAX_HELD_OUT_TOKENS = 7, 1_500_000, 250_000

# The texts at each temperature in which copied spans are searched, and the characters of each.
COPY_TEXTS, COPY_LENGTH = 4, 1000

# A model that copies so much at temperature 0.5, or whose loss has risen by so many nats since it was best in
# the first part of its run, gets a verdict.
COPIED_TEMPERATURE, MUCH_COPIED, EARLY_BEST, MIN_RISE = 0.5, 0.5, 0.75, 0.01

# Samples of so many evaluations are in the report, and so many rows of the table of evaluations.
MAX_MOMENTS, MAX_ROWS = 7, 60


class References:
    """The held-out loss of a model that counts, in nats per character, which a thread measures.

    Attributes:
        losses: By the name of the model, when it is measured.
    """

    def __init__(self, dataset: "Dataset") -> None:
        self.losses: dict[str, float] = {}
        self._dataset = dataset
        # It does not delay the end of the program.
        self._thread = threading.Thread(target=self._measure, name="textgen-references", daemon=True)

    def start(self) -> None:
        """Start to measure, if that has not begun."""
        if self._thread.ident is None:
            self._thread.start()

    def wait(self, seconds: float) -> None:
        """Wait at most so many seconds."""
        self.start()
        self._thread.join(seconds)

    def _measure(self) -> None:
        import numpy as np
        from textgen_runtime.baselines import KneserNey

        dataset, tokens = self._dataset, self._dataset.tokens
        training = tokens.training[-MAX_TRAINING_TOKENS:]
        held_out = tokens.held_out[:MAX_HELD_OUT_TOKENS]
        try:
            counted = KneserNey(np.asarray(training), ORDER, len(dataset.tokenizer))
            nats = counted.surprisals(np.asarray(held_out), np.asarray(training[-ORDER:])).sum()
            self.losses[f"{ORDER}-gram"] = float(nats) / len(dataset.text_of(held_out))
        except MemoryError:
            return


def measure_copied(model: Model, dataset: "Dataset") -> dict[float, float]:
    """Return the share of the texts of a model that is copied from the training text, by temperature."""
    from textgen_runtime.temperatures import copied_shares, draw_texts

    length = math.ceil(COPY_LENGTH / dataset.characters_per_token)
    try:
        corpus = dataset.text_of(dataset.tokens.training[-MAX_TRAINING_TOKENS:])
        return copied_shares(draw_texts(model, texts=COPY_TEXTS, length=length), corpus)
    except (ScoringError, MemoryError):
        # A model of bytes that are no text has no prompts.
        return {}


def describe_result(run: "Run") -> str:
    """Return the verdict on a run that has ended, in plain words, as lines."""
    best, last, copied, lines = run.best, run.state.evaluations[-1], run.copied, []
    if best is None:
        return ""
    if run.state.progress < 1.0:
        lines.append(
            f"stopped after {format_duration(last.seconds)}, because the held-out loss only rises "
            "(--no-early-stopping goes on)"
        )
    elif not best.step and len(run.state.evaluations) > 1:
        lines.append("no update has improved the model of --from: try a longer run or lower learning rates")
    elif best.seconds < EARLY_BEST * last.seconds and last.held_out_nats > best.held_out_nats + MIN_RISE:
        lines.append(
            f"the run has overfitted: its best model is from {format_duration(best.seconds)} of "
            f"{format_duration(last.seconds)}; more text would help, a longer run would not"
        )
    counted = run.references.losses.get(f"{ORDER}-gram", math.inf)
    if counted < best.held_out_nats:
        lines.append(
            f"counting is better than this model: the counts of {ORDER} symbols reach {counted:.4f} nats; "
            "the text or the run is too short"
        )
    if copied.get(COPIED_TEMPERATURE, 0.0) >= MUCH_COPIED:
        lines.append(
            f"{copied[COPIED_TEMPERATURE]:.0%} of what the model writes at temperature "
            f"{COPIED_TEMPERATURE:g} "
            "is copied from the text: it needs more text"
        )
    return "".join([f"{line}\n" for line in lines])


def generating_command(run: "Run") -> str:
    """Return a command that generates text. Of records, it prints only new ones."""
    config, engine = run.config, "" if run.config.cell == "lstm" else "--engine onnxruntime "
    start = f"textgen-run {shlex.quote(unambiguous_path(run.folder))} {engine}"
    if config.records is not None:
        return f"{start}--count 20 --unique{novel_option(config)}"
    return start + ("--temp 0.5" if run.dataset.prompts else "--raw --prompt-file BEGINNING > NEW")


def novel_option(config: Config) -> str:
    """Return the option, after a space, that leaves out the records of the corpus; "" without records."""
    # Standard input cannot be read again.
    if config.records is None or config.corpus == STANDARD_INPUT:
        return ""
    # A name that begins with a hyphen would be an option.
    source = f"./{config.corpus}" if config.corpus.startswith("-") else config.corpus
    return f" --novel {shlex.quote(source)}"


# ---- The page ----


def write_report(run: "Run", status: str, path: Path) -> None:
    """Write the report. status: "running", "interrupted" or "complete".

    Raises:
        OutputError: If it cannot be written.
    """
    state, best = run.state, run.best
    if best is None:
        return
    try:
        model = open_written((run.folder / MODEL_FILE).read_bytes())
    except (OSError, ModelFileError):
        # Another program has removed it. The rest of the report is still useful.
        model = None
    statuses = {
        "running": f"The run is in progress: {state.progress:.0%} of its budget is used.",
        "interrupted": f"The run was interrupted after {state.progress:.0%} of its budget.",
        "complete": f"The run is complete. {describe_result(run)}",
    }
    summary = definitions(
        [
            ("best held-out loss", f"{best.held_out_nats:.4f} nats per character"),
            ("in bits", f"{best.bits_per_character:.3f} bits per character"),
            ("parameters", f"{run.learner.parameters:,}"),
            ("time", format_duration(state.evaluations[-1].seconds)),
            ("epochs", f"{state.evaluations[-1].epoch:,.1f}"),
        ]
    )
    sections = [
        section("Result", summary),
        section("Loss", _losses(run, best)),
        section("Samples", _samples(state.evaluations, state.samples, best) + _copied(run.copied)),
        section("Temperature", _temperatures(model) if model else ""),
        section("Corpus", _corpus(run.dataset)),
        section("Recipe", _recipe(run)),
        section("Run", _conditions(run)),
        section("Use the model", _usage(run)),
    ]
    title = f"{run.dataset.source.name}: training report"
    replace_file(path, page(title, statuses[status], sections))


EXPLANATION = """
<p>The loss is the mean negative log-probability of the next character. Lower is better. The curve
<span class="key held-out">held out</span> is for text that is not used for training. The
<span class="key running">thin curve</span> is the loss during training, with dropout. If the first one rises
while the second one falls, the model is overfitted.</p>
"""

REFERENCES = f"""
<p>The {ORDER}-gram model counts: it has Kneser-Ney smoothing, and the same training text. Of long texts, it
uses the last {MAX_TRAINING_TOKENS:,} training tokens, and the first {MAX_HELD_OUT_TOKENS:,} held-out
tokens.</p>
"""


def _losses(run: "Run", best: Evaluation) -> str:
    # A copy, because a thread adds to it.
    evaluations, losses = run.state.evaluations, dict(run.references.losses)
    curves = []
    for style, label, name in (
        ("running", "training", "training_nats"),
        ("held-out", "held out", "held_out_nats"),
    ):
        known = [(item, nats) for item in evaluations if (nats := getattr(item, name)) is not None]
        if known:
            curves.append(
                Curve(
                    style,
                    f"{label} {known[-1][1]:.3f}",
                    [(item.seconds, nats) for item, nats in known],
                    [f"{label}: {nats:.4f} nats, epoch {item.epoch:.1f}" for item, nats in known],
                )
            )
    chart = draw("Loss over time", curves, [(f"{name} {nats:.3f}", nats) for name, nats in losses.items()])
    rows = [
        [html(name), f"{nats:.4f}", f"{nats * BITS_PER_NAT:.3f}"]
        for name, nats in [("this model", best.held_out_nats), *losses.items()]
    ]
    compared = table("Held-out losses, per character", ["model", "nats", "bits"], rows) if losses else ""
    stride = max(1, -(-len(evaluations) // MAX_ROWS))
    details = [
        [
            f"{item.epoch:.1f}{' (best)' if item == best else ''}",
            f"{item.step:,}",
            format_duration(item.seconds),
            f"{item.held_out_nats:.4f}",
            f"{item.bits_per_character:.3f}",
            "" if item.training_nats is None else f"{item.training_nats:.4f}",
        ]
        for number, item in enumerate(evaluations)
        if number % stride == 0 or item in (best, evaluations[-1])
    ]
    head = ["epoch", "updates", "time", "held out, nats", "bits", "training, nats"]
    return (
        f"{EXPLANATION}{chart}{compared}{REFERENCES if losses else ''}<details><summary>All "
        f"evaluations</summary>"
        f"{table('Losses per character', head, details)}</details>"
    )


def _samples(evaluations: Sequence[Evaluation], samples: dict[int, Sample], best: Evaluation) -> str:
    """Return the samples of some evaluations: the first, the best, the last, and others in between.

    A model learns most at the beginning, so the distances grow. The page begins with the saved model.
    """
    numbers = [*samples]
    if len(numbers) > MAX_MOMENTS:
        last = len(numbers) - 1
        places = {round(last ** (i / (MAX_MOMENTS - 1))) for i in range(1, MAX_MOMENTS)} | {0}
        numbers = [number for i, number in enumerate(numbers) if i in places or evaluations[number] == best]
    moments = []
    for number in numbers:
        item, sample = evaluations[number], samples[number]
        figures = "".join(
            f"<figure><figcaption>temperature {temperature:g}</figcaption>"
            f'<blockquote dir="auto"><b>{html(sample.prompt)}</b>{html(text)}</blockquote></figure>'
            for temperature, text in zip(TEMPERATURES, sample.texts, strict=True)
        )
        saved, mark = (" (the saved model)", " data-saved") if item == best else ("", "")
        moments.append(
            f'<section class="moment"{mark}><h3>{format_duration(item.seconds)}, epoch {item.epoch:.1f}: '
            f'{item.held_out_nats:.3f} nats{saved}</h3><div class="samples">{figures}</div></section>'
        )
    return "\n".join(moments)


def _copied(shares: dict[float, float]) -> str:
    from textgen_runtime.temperatures import COPIED_SPAN

    if not shares:
        return ""
    values = [(f"temperature {temperature:g}", f"{share:.1%}") for temperature, share in shares.items()]
    return (
        "<h3>Copied text</h3><p>The share of new texts of the saved model that is copied from the training "
        f"text, in spans of {COPIED_SPAN} or more characters. Shorter spans are mostly phrases of the "
        f"language.</p>{definitions(values)}"
    )


# The figure of temperatures: symbols with a bar of their own, and its sizes. The bars stand between the names
# and the percentages.
MAX_BARS, MAX_NAME, MAX_PROMPT = 9, 9, 60
BARS_WIDTH, BAR_HEIGHT, BARS_TOP, BAR_LEFT, BAR_LENGTH = 240, 17, 24, 66, 130


def _temperatures(model: Model) -> str:
    """Return the distributions after the prompt whose next character is the hardest to predict."""
    from textgen_runtime.temperatures import compare_temperatures

    prompts: Sequence[str | None] = model.metadata.prompts or (None if model.metadata.records else "\n",)
    comparison = max(
        (compare_temperatures(model, prompt) for prompt in prompts), key=lambda found: found.entropies[2]
    )
    prompt = comparison.prompt[-MAX_PROMPT:].replace("\n", "\u21b5")
    after = f' after <q><bdi class="text">{html(prompt)}</bdi></q>' if prompt else ""
    figures = "".join(_bars(comparison, number) for number in range(len(comparison.temperatures)))
    return (
        f"<p>The probabilities of the next {html(comparison.unit)}{after}. A low temperature favors the most "
        "likely ones, and a high temperature makes all of them more alike. The marks show temperature 1, the "
        "distribution "
        f'of the model.</p><div class="temperatures">{figures}</div>'
    )


def _bars(comparison: "TemperatureComparison", number: int) -> str:
    names = [symbol_name(symbol)[:MAX_NAME] for symbol in comparison.symbols[:MAX_BARS]]
    values, marks = (
        [*map(float, row[: len(names)])] for row in (comparison.probabilities[number], comparison.original)
    )
    if len(comparison.symbols) > MAX_BARS:
        names.append("others")
        values.append(1.0 - sum(values))
        marks.append(1.0 - sum(marks))
    parts = []
    for place, (name, value, mark) in enumerate(zip(names, values, marks, strict=True)):
        top = BARS_TOP + BAR_HEIGHT * place
        parts.append(
            f'<text class="symbol" x="{BAR_LEFT - 6}" y="{top + 11}" text-anchor="end">{html(name)}</text>'
            f'<rect x="{BAR_LEFT}" y="{top}" width="{value * BAR_LENGTH:.1f}" height="{BAR_HEIGHT - 4}"/>'
            f'<path class="mark" d="M{BAR_LEFT + mark * BAR_LENGTH:.1f} {top - 1}v{BAR_HEIGHT - 2}"/>'
            f'<text class="tick" x="{BARS_WIDTH}" y="{top + 11}" text-anchor="end">{value:.1%}</text>'
        )
    title, bits = f"temperature {comparison.temperatures[number]:g}", comparison.entropies[number]
    height = BARS_TOP + BAR_HEIGHT * (MAX_BARS + 1)
    return (
        f'<svg class="temperature t{number}" viewBox="0 0 {BARS_WIDTH} {height}" '
        f'role="img"><title>{title}</title><text class="heading" x="0" y="14">{title}</text>'
        f'<text class="tick" x="{BARS_WIDTH}" y="14" text-anchor="end">{bits:.2f} bits'
        f"</text>{''.join(parts)}</svg>"
    )


def _corpus(dataset: "Dataset") -> str:
    split, config, special = dataset.describe_split(), dataset.config, dataset.tokenizer.special
    held_out = (
        split["held_out"] if isinstance(split["held_out"], str) else f"the text {split['held_out']['corpus']}"
    )
    form = dataset.config.normalization
    changes = f"{'lower case' if form.lowercase else 'case unchanged'}, Unicode {form.unicode or 'unchanged'}"
    named = {token: f"<{name}>" for name, token in special.by_name.items()}
    frequent = [
        (named.get(token) or _name(config.level, dataset.tokenizer.symbols[token]), f"{share:.1%}")
        for token, share in dataset.frequent_symbols
    ]
    facts = [
        ("corpus", dataset.source.name),
        ("SHA-256", dataset.source.sha256),
        ("characters", f"{dataset.source.characters:,}"),
        ("training text", f"{split['training_characters']:,} characters"),
        ("held-out text", f"{split['held_out_characters']:,} characters, {held_out}"),
        ("normalization", "bytes unchanged" if config.level == BYTE else changes),
        ("symbols", f"{len(dataset.tokenizer) - len(special.by_name):,}"),
        ("rare symbols", f"{len(dataset.rare):,}" if dataset.rare else ""),
    ]
    return f"{definitions(facts)}<h3>The most frequent symbols</h3>{definitions(frequent)}"


def _name(level: str, symbol: str) -> str:
    # Most bytes above ASCII are only parts of a character.
    return f"byte {ord(symbol):02X}" if level == BYTE and not symbol.isascii() else symbol_name(symbol)


def _recipe(run: "Run") -> str:
    """Return the hyperparameters. Those that the user has changed are marked."""
    config, helps = run.config, {option.name: option.help for option in hyperparameters(run.config.recipe)}
    usual = config.usual_recipe(*run.dataset.sizes, config.epochs or run.state.expected_epochs)
    rows = []
    for name, value in run.state.recipe.items():
        shown = f"{value:g}" if isinstance(value, float) else html(value)
        explanation = html(helps.get(name, "kind of layers"))
        changed = f"<mark>{shown}</mark> (changed)" if value != usual.get(name) else shown
        rows.append([f"<code>{html(option_name(name))}</code><br><small>{explanation}</small>", changed])
    return table(config.recipe_name, ["option", "value"], rows)


def _conditions(run: "Run") -> str:
    from textgen_runtime.bench.report import describe_machine

    config, machine = run.config, describe_machine()
    budget = f"minutes: {config.minutes:g}" if config.minutes else f"epochs: {config.epochs}"

    def teachers() -> Iterator[tuple[str, Any]]:
        for teacher in run.origin.teachers:
            yield "teacher", f"{teacher.get('source')} ({str(teacher.get('sha256'))[:8]})"
        if run.origin.teachers:
            yield "weight of the teachers", config.weight_of_teachers

    return definitions(
        [
            ("budget", budget),
            ("started from", (run.origin.parent or {}).get("corpus")),
            *teachers(),
            ("seed", config.seed),
            ("trained by", run.hardware),
            ("processor", machine.get("processor")),
            ("system", machine.get("system")),
        ]
    )


def _usage(run: "Run") -> str:
    engine = "" if run.config.cell == "lstm" else ', engine="onnxruntime"'
    program = (
        "import textgen_runtime as textgen\n\n"
        f"model = textgen.load({unambiguous_path(run.folder)!r}{engine})\n"
        "print(model.generate(temperature=0.5))"
    )
    parts = [("In a shell:", generating_command(run)), ("In Python:", program)]
    if run.origin.command:
        parts.append(("The command that made the model:", shlex.join(run.origin.command)))
    return "".join(
        f'<p>{title}</p><pre class="command"><code>{html(text)}</code></pre>' for title, text in parts
    )
