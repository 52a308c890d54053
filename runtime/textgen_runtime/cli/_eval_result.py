"""Results of scored texts, as ``textgen-eval`` prints them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from textgen_runtime.scoring.compressors import COMPRESSORS
from textgen_runtime.scoring.prediction import Prediction, Score, format_share, total_score
from textgen_runtime.text.levels import CHARACTER


@dataclass(frozen=True)
class EvalResult:
    """The result of one text, or of several texts combined.

    Attributes:
        name: The name of the text.
        prediction: The prediction of each token, or None if it is not needed.
        score: The score of the text.
        skipped: Number of characters that were skipped because they are outside the vocabulary.
        seconds: Time to predict the text.
        compressed: Compressed size in bits, by compressor.
        last: The share of the text that was scored, in (0, 1].
        unknown: Number of tokens that were scored as the model's unknown symbol.
        records: Number of records whose end was scored; 0 for continuous text.
    """

    name: str
    prediction: Prediction | None
    score: Score
    skipped: int
    seconds: float
    compressed: dict[str, int]
    last: float
    unknown: int = 0
    records: int = 0

    @property
    def characters_per_second(self) -> float:
        return self.score.characters / max(self.seconds, 1e-9)

    def as_json(self) -> dict[str, Any]:
        """Return the result as ``--json`` prints it."""
        score = self.score
        return {
            "name": self.name,
            "characters": score.characters,
            "tokens": score.tokens,
            "records": self.records,
            "skipped": self.skipped,
            "unknown": self.unknown,
            "nats": score.nats,
            "bits": score.bits,
            "nats_per_token": score.token_nats,
            # JSON has no infinity. A model with a character of probability 0 has infinite perplexity.
            "perplexity": score.perplexity if math.isfinite(score.perplexity) else None,
            "accuracy": score.accuracy,
            "seconds": self.seconds,
            "characters_per_second": self.characters_per_second,
            "compressors": {name: bits / score.characters for name, bits in self.compressed.items()},
        }

    def format_counts(self) -> str:
        """Return the numbers of scored and skipped characters in words."""
        part = ""
        if self.last < 1:
            share = format_share(self.last)
            part = f"held-out {share} of the records" if self.records else f"last {share} of the text"
            part = f", the {part}"
        characters = _count(self.score.characters, "character")
        records = f" of {_count(self.records, 'record')}" if self.records else ""
        skipped = f", {_count(self.skipped, 'unknown character')} skipped" if self.skipped else ""
        unknown = f", {self.unknown:,} of them as the unknown symbol" if self.unknown else ""
        tokens = "" if self.score.unit == CHARACTER else f" in {_count(self.score.tokens, 'token')}"
        return f"{characters}{records} scored{tokens}{part}{unknown}{skipped}"

    def format_lines(self) -> list[str]:
        """Return the result as lines of text."""
        score = self.score
        compressors = "  ".join(
            f"{name} {bits / score.characters:.3f}" for name, bits in self.compressed.items()
        )
        return [
            f"{self.name}: {self.format_counts()}, {self.characters_per_second:,.0f} characters/s",
            f"  {format_score(score)}",
            f"  bits per character: model {score.bits:.3f}  {compressors}",
        ]


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'s' * (number != 1)}"


def format_score(score: Score) -> str:
    """Return a score in one line."""
    per_token = " per token" * (score.unit != CHARACTER)
    token_nats = f"{score.token_nats:.4f} nats per token, " if per_token else ""
    return (
        f"{score.nats:.4f} nats per character, {score.bits:.4f} bits per character, {token_nats}"
        f"perplexity {score.perplexity:.3f}{per_token}, accuracy {score.accuracy:.1%}{per_token}"
    )


def combined(results: Sequence[EvalResult]) -> EvalResult:
    """Return the result of several texts combined. Each was scored and compressed separately."""
    return EvalResult(
        "all texts",
        None,
        total_score([result.score for result in results]),
        sum(result.skipped for result in results),
        sum(result.seconds for result in results),
        {name: sum(result.compressed[name] for result in results) for name in COMPRESSORS},
        results[0].last,
        sum(result.unknown for result in results),
        sum(result.records for result in results),
    )
