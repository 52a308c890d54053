"""What ``textgen-run --stats`` tells."""

from collections.abc import Sequence

from textgen_runtime.engines.base import Measurements
from textgen_runtime.generation.model import Model
from textgen_runtime.sampling.parameters import Sampling
from textgen_runtime.text.levels import unit_of

from ._sampling_arguments import heading

NAME = 17  # Columns of a figure's name.
MICROSECONDS = 1e6
MILLISECONDS = 1e3


def statistics(
    model: Model,
    seed: int,
    load_seconds: float,
    first_text_seconds: float,
    measured: Sequence[tuple[Sampling, Measurements]],
) -> list[str]:
    """The report, a line a figure. All figures are those of tokens, which may be characters.

    Args:
        model: What was run.
        seed: What gives the text again.
        load_seconds: Reading the model, the import of its engine included.
        first_text_seconds: From the start of the command until the first chunk of text was written.
        measured: Each sampling and what its texts took; with several threads, their times added up.
    """
    unit = unit_of(model.tokenizer)
    whole = Measurements()
    for _, part in measured:
        whole.merge(part)
    tokens = max(whole.tokens, 1)
    seconds = whole.model_seconds + whole.sampler_seconds
    forward = whole.model_seconds / tokens * MICROSECONDS
    sampler = whole.sampler_seconds / tokens * MICROSECONDS
    return [
        f"engine           {model.engine.name}",
        f"seed             {seed}",
        f"load             {load_seconds * MILLISECONDS:.1f} ms",
        f"{f'first {unit}':<{NAME}}{first_text_seconds * MILLISECONDS:.1f} ms after the start",
        f"speed            {tokens / max(seconds, 1e-9):,.0f} {unit}s/s",
        f"{f'a {unit}':<{NAME}}{forward + sampler:.2f} us: model {forward:.2f}, sampler {sampler:.2f}",
        *entropies(measured, unit),
    ]


def entropies(measured: Sequence[tuple[Sampling, Measurements]], unit: str) -> list[str]:
    """A line for each sampling: the mean over several would be the entropy of none."""
    several = len(measured) > 1
    return [
        f"mean entropy     {part.entropy_bits / max(part.tokens, 1):.3f} bits a {unit}"
        + f" at {heading(sampling).replace(':', '')}" * several
        for sampling, part in measured
    ]
