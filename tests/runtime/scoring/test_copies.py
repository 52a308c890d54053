"""How much of generated text stands in a corpus."""

from array import array

import pytest
import textgen_runtime as textgen
from textgen_runtime._core import Spans
from textgen_runtime.scoring.copies import COPIED_SPAN, copied_shares, draw_texts

from tests.helpers.changed_models import with_metadata
from tests.helpers.paths import TINY


def count_copied(text: str, corpus: str, length: int) -> int:
    """Count the characters of a text that are in parts of this length that a corpus has."""
    copied = [False] * len(text)
    for start in range(len(text) - length + 1):
        if text[start : start + length] in corpus:
            copied[start : start + length] = [True] * length
    return sum(copied)


@pytest.mark.parametrize("length", [2, 5, 30])
def test_copied_tokens_are_counted_once(length: int) -> None:
    corpus = textgen.load(TINY).generate(length=500, seed=1, temperature=0.3)
    text = (
        textgen.load(TINY).generate(length=500, seed=2, temperature=0.3) + corpus[100:140] + corpus[120:160]
    )
    spans = Spans(array("q", map(ord, corpus)), length - 1, 0x110000)
    assert spans.count_copied(array("q", map(ord, text))) == count_copied(text, corpus, length) > 0


def test_a_span_of_a_corpus_ends_at_a_character_that_no_text_can_have() -> None:
    spans = Spans([1, 2, -1, 2, 3, 1], 2, 4)
    assert spans.count_copied([1, 2, 2, 3, 1]) == 3
    assert spans.max_copy == 2


def test_the_shares_are_those_of_long_spans() -> None:
    model = textgen.load(TINY)
    likely = model.generate(length=3000, temperature=0)
    shares = copied_shares(draw_texts(model, [0.0, 2.0]), likely)
    assert shares[0.0] > 0.9
    assert shares[2.0] == 0
    parts = "X".join(likely[i : i + COPIED_SPAN - 1] for i in range(0, 3000, COPIED_SPAN - 1))
    assert copied_shares(draw_texts(model, [0.0]), parts) == {0.0: 0.0}


def test_a_model_without_prompts_has_no_texts_to_compare(tiny: textgen.Model) -> None:
    without = with_metadata(tiny, tiny.metadata._replace(prompts=()))
    with pytest.raises(textgen.ScoringError, match="stores no prompts to start texts from: omit copied"):
        draw_texts(without)
