"""The samples of a report: those of a few evaluations, so that a reader sees the model learn."""

import math
from collections.abc import Sequence

from textgen_train.loop.eval_result import Evaluation
from textgen_train.loop.samples import split_samples

from .html_text import html
from .progress import format_duration

MAX_MOMENTS = 6


def sample_moments(evaluations: Sequence[Evaluation], samples: Sequence[str]) -> str:
    """Return a section for each chosen evaluation; "" if there are no samples.

    Args:
        evaluations: All evaluations of a run.
        samples: The samples of each evaluation; "" if none were drawn.
    """
    sampled = [(evaluation, text) for evaluation, text in zip(evaluations, samples, strict=True) if text]
    chosen = choose_moments([evaluation.step for evaluation, _ in sampled])
    return "\n".join(_moment(*sampled[i]) for i in chosen)


def choose_moments(steps: Sequence[int]) -> list[int]:
    """Return the indexes of at most six evaluations: the first, the last, and others in between.

    A model learns most at the beginning, so the numbers of updates grow by about the same factor.
    """
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


def _moment(evaluation: Evaluation, samples: str) -> str:
    heading = (
        f"Update {evaluation.step:,}, {format_duration(evaluation.seconds)}: "
        f"{evaluation.held_out_nats:.3f} nats"
    )
    prompt, texts = split_samples(samples)
    figures = "".join(
        f"<figure><figcaption>temperature {temperature:g}</figcaption>"
        f'<blockquote dir="auto"><b>{html(prompt)}</b>{html(text)}</blockquote></figure>'
        for temperature, text in texts.items()
    )
    plain = f'<figure><blockquote dir="auto">{html(samples)}</blockquote></figure>'
    shown = f'<div class="samples">{figures or plain}</div>'
    return f'<section class="moment"><h3>{html(heading)}</h3>{shown}</section>'
