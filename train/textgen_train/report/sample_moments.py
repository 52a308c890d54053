"""The samples of a report: those of a few evaluations, so that a reader sees the model learn."""

import math
from collections.abc import Sequence

from textgen_train.loop.eval_result import Evaluation
from textgen_train.loop.samples import split_samples

from .html_text import html
from .scales import format_duration

MAX_MOMENTS = 6


def sample_moments(evaluations: Sequence[Evaluation], samples: Sequence[str], best: Evaluation) -> str:
    """Return a section for each chosen evaluation; "" if there are no samples.

    The attribute ``data-saved`` marks the section with which the report opens, that of the saved model.

    Args:
        evaluations: All evaluations of a run.
        samples: The samples of each evaluation; "" if none were drawn.
        best: The evaluation of the saved model.
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
