"""What ``textgen-run --stats`` tells."""

from collections.abc import Sequence

from textgen_runtime.engine import Measurements

MICROSECONDS = 1e6
MILLISECONDS = 1e3


def statistics(
    engine: str,
    seed: int,
    load_seconds: float,
    first_character_seconds: float,
    measured: Sequence[tuple[float, Measurements]],
) -> list[str]:
    """The report, a line a figure.

    Args:
        engine: What ran the model.
        seed: What gives the text again.
        load_seconds: Reading the model, the import of its engine included.
        first_character_seconds: From the start of the command until the first piece of text was written.
        measured: Each temperature and the decoding of its texts; with several threads, their times added up.
    """
    whole = Measurements()
    for _, part in measured:
        whole.merge(part)
    characters = max(whole.characters, 1)
    seconds = whole.model_seconds + whole.sampler_seconds
    model = whole.model_seconds / characters * MICROSECONDS
    sampler = whole.sampler_seconds / characters * MICROSECONDS
    return [
        f"engine           {engine}",
        f"seed             {seed}",
        f"load             {load_seconds * MILLISECONDS:.1f} ms",
        f"first character  {first_character_seconds * MILLISECONDS:.1f} ms after the start",
        f"speed            {characters / max(seconds, 1e-9):,.0f} characters/s",
        f"a character      {model + sampler:.2f} us: model {model:.2f}, sampler {sampler:.2f}",
        *entropies(measured),
    ]


def entropies(measured: Sequence[tuple[float, Measurements]]) -> list[str]:
    """A line for each temperature: the mean over several would be the entropy of none."""
    several = len(measured) > 1
    return [
        f"mean entropy     {part.entropy_bits / max(part.characters, 1):.3f} bits a character"
        + f" at temperature {temperature}" * several
        for temperature, part in measured
    ]
