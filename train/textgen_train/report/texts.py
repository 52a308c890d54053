"""The texts in a report: samples of several evaluations, what is copied, and the next character.

The last two are shown at several temperatures.
"""

import math
from collections.abc import Mapping, Sequence

from textgen_runtime.errors import ScoringError
from textgen_runtime.model import Model
from textgen_runtime.temperatures import COPIED_SPAN, TemperatureComparison, copied_shares, draw_texts
from textgen_runtime.tokenizer import symbol_name

from textgen_train.data.dataset import Dataset
from textgen_train.data.tokens import text_of
from textgen_train.loop.events import Evaluation
from textgen_train.loop.samples import split_samples

from .chart import format_duration
from .html import definitions, html

MAX_MOMENTS = 6


def sample_moments(evaluations: Sequence[Evaluation], samples: Sequence[str], best: Evaluation) -> str:
    """Return a section for each chosen evaluation; "" if there are no samples.

    The attribute ``data-saved`` marks the section with which the report opens, that of the saved model.
    """
    sampled = [(evaluation, text) for evaluation, text in zip(evaluations, samples, strict=True) if text]
    chosen = choose_moments([evaluation.step for evaluation, _ in sampled], best.step)
    return "\n".join(
        _moment(*sampled[i], is_saved=sampled[i][0].step == best.step and len(chosen) > 1) for i in chosen
    )


def choose_moments(steps: Sequence[int], best: int) -> list[int]:
    """Return the indexes of at most seven evaluations: the first, the best, the last, and others in between.

    A model learns most at the beginning, so the numbers of updates grow by about the same factor.

    Args:
        steps: The number of updates before each evaluation, in ascending order.
        best: The number of updates before the best evaluation.
    """
    moments = _spread_moments(steps)
    return sorted({*moments, *(i for i in range(len(steps)) if steps[i] == best)})


def _spread_moments(steps: Sequence[int]) -> list[int]:
    if len(steps) <= MAX_MOMENTS:
        return [*range(len(steps))]
    first, last = math.log(max(steps[0], 1)), math.log(max(steps[-1], 1))
    chosen = [0]
    for place in range(1, MAX_MOMENTS - 1):
        wanted = first + (last - first) * place / (MAX_MOMENTS - 1)
        # Leave enough later evaluations for the moments that follow.
        latest = len(steps) - (MAX_MOMENTS - place)
        candidates = range(chosen[-1] + 1, latest + 1)
        chosen.append(min(candidates, key=lambda i: abs(math.log(max(steps[i], 1)) - wanted)))
    return [*chosen, len(steps) - 1]


def _moment(evaluation: Evaluation, samples: str, *, is_saved: bool) -> str:
    heading = (
        f"Update {evaluation.step:,}, {format_duration(evaluation.seconds)}: "
        f"{evaluation.held_out_nats:.3f} nats{' (the saved model)' * is_saved}"
    )
    prompt, texts = split_samples(samples)
    figures = "".join(
        f"<figure><figcaption>temperature {temperature:g}</figcaption>"
        f'<blockquote dir="auto"><b>{html(prompt)}</b>{html(text)}</blockquote></figure>'
        for temperature, text in texts.items()
    )
    plain = f'<figure><blockquote dir="auto">{html(samples)}</blockquote></figure>'
    shown = f'<div class="samples">{figures or plain}</div>'
    return f'<section class="moment"{" data-saved" * is_saved}><h3>{html(heading)}</h3>{shown}</section>'


# The texts that the saved model generates at each temperature, and the characters of each. With the search in
# the end of a longer training text, they take about a second with the preset small, and some with large.
COPY_TEXTS, COPY_LENGTH = 8, 1000
MAX_SEARCHED_TOKENS = 1_500_000


def measure_copied_text(model: Model, dataset: Dataset) -> dict[float, float]:
    """Return the share of the texts of a model that is copied from the training text, by temperature.

    It is empty if the model needs a prompt, because the training text is not a text, or if memory is short.
    """
    length = math.ceil(COPY_LENGTH / dataset.characters_per_token)
    try:
        corpus = text_of(dataset.training[-MAX_SEARCHED_TOKENS:], dataset.tokenizer)
        return copied_shares(draw_texts(model, texts=COPY_TEXTS, length=length), corpus)
    except (ScoringError, MemoryError):
        # The rest of the report is still useful.
        return {}


def copied_text(shares: Mapping[float, float], dataset: Dataset) -> str:
    """Return the result of ``measure_copied_text`` as HTML; "" if it is empty."""
    if not shares:
        return ""
    searched, notes = "the training text", ""
    if len(dataset.training) > MAX_SEARCHED_TOKENS:
        searched = f"the last {MAX_SEARCHED_TOKENS:,} of {len(dataset.training):,} training tokens"
    if dataset.records is not None:
        notes = f" A record of fewer than {COPIED_SPAN} characters does not count as copied."
    values = [(f"temperature {temperature:g}", f"{share:.1%}") for temperature, share in shares.items()]
    return (
        f"<h3>Copied text</h3><p>The saved model generated {COPY_TEXTS} texts at each temperature. The table "
        f"shows which share of them is copied from {searched}, in spans of {COPIED_SPAN} or more characters. "
        f"Shorter spans are mostly phrases of the language.{notes}</p>{definitions(values)}"
    )


# Characters of the prompt above the figure of temperatures.
MAX_PROMPT = 60

# Symbols with a bar of their own. The remaining symbols share one bar.
MAX_BARS = 9
BARS_WIDTH, BAR_HEIGHT, BARS_TOP = 240, 17, 24
# The bars begin at the right of the names and end before the percentages.
BAR_LEFT, BAR_RIGHT = 66, 196
MAX_SYMBOL_NAME = 9
MIN_MARKED = 0.005
# Smaller shares would be rounded to 0.0%.
MIN_PERCENTAGE = 0.0005


def temperature_section(comparison: TemperatureComparison) -> str:
    """Return figures of the distribution of the next character at each temperature."""
    prompt = comparison.prompt.replace("\n", "\u21b5")
    shown = prompt if len(prompt) <= MAX_PROMPT else f"\u2026{prompt[-MAX_PROMPT:]}"
    after = f' after <q><bdi class="text">{html(shown)}</bdi></q>' if prompt else ""
    return (
        f"<p>The probabilities of the next {html(comparison.unit)}{after}. A low temperature favors the most "
        "likely ones, and a high temperature makes all of them more alike. The marks show temperature 1, the "
        "distribution of the model.</p>"
        f'<div class="temperatures">{draw_distributions(comparison)}</div>'
    )


def draw_distributions(comparison: TemperatureComparison) -> str:
    """Return one SVG element for each temperature, with a bar for each of the most likely symbols.

    A mark on each bar shows the probability at temperature 1. All bars have the same scale.
    """
    return "".join(_draw(comparison, number) for number in range(len(comparison.temperatures)))


def _draw(comparison: TemperatureComparison, number: int) -> str:
    temperature, row = comparison.temperatures[number], comparison.probabilities[number]
    bits = comparison.entropies[number]
    shown = min(len(comparison.symbols), MAX_BARS)
    names = [_short(symbol_name(symbol)) for symbol in comparison.symbols[:shown]]
    values = [*map(float, row[:shown])]
    originals = [*map(float, comparison.original[:shown])]
    if shown < len(comparison.symbols):
        names.append("others")
        values.append(float(row[shown:].sum()))
        originals.append(float(comparison.original[shown:].sum()))
    bars = "".join(map(_bar, range(len(names)), names, values, originals))
    title = f"Distribution of the next {comparison.unit} at temperature {temperature:g}"
    text = ", ".join(f"{name} {_percent(value)}" for name, value in zip(names, values, strict=True))
    height = BARS_TOP + BAR_HEIGHT * (MAX_BARS + 1)
    return (
        f'<svg class="temperature t{number}" viewBox="0 0 {BARS_WIDTH} {height}" role="img" '
        f'aria-labelledby="temperature-{number}-title temperature-{number}-text">'
        f'<title id="temperature-{number}-title">{html(title)}</title>'
        f'<desc id="temperature-{number}-text">{html(text)}</desc>'
        f'<text class="heading" x="0" y="14">temperature {temperature:g}</text>'
        f'<text class="tick" x="{BARS_WIDTH}" y="14" text-anchor="end">{bits:.2f} bits</text>'
        f"{bars}</svg>"
    )


def _bar(place: int, name: str, value: float, original: float) -> str:
    top, length = BARS_TOP + BAR_HEIGHT * place, BAR_RIGHT - BAR_LEFT
    # Marks of tiny probabilities would look like an axis.
    place_of_mark = f"M{BAR_LEFT + original * length:.1f} {top - 1}v{BAR_HEIGHT - 2}"
    mark = f'<path class="mark" d="{place_of_mark}"/>' if original >= MIN_MARKED else ""
    return (
        f'<text class="symbol" x="{BAR_LEFT - 6}" y="{top + 11}" text-anchor="end">{html(name)}</text>'
        f'<rect x="{BAR_LEFT}" y="{top}" width="{value * length:.1f}" height="{BAR_HEIGHT - 4}"/>'
        f'{mark}<text class="tick" x="{BARS_WIDTH}" y="{top + 11}" text-anchor="end">'
        f"{html(_percent(value))}</text>"
    )


def _percent(value: float) -> str:
    return "<0.1%" if 0.0 < value < MIN_PERCENTAGE else f"{value:.1%}"


def _short(name: str) -> str:
    return name if len(name) <= MAX_SYMBOL_NAME else f"{name[: MAX_SYMBOL_NAME - 1]}\u2026"
