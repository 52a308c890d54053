"""Many texts of each of four expressions: all match, and all end within their length."""

import re

import pytest
import textgen_runtime as textgen

from tests.tiers import runs

COUNT, LENGTH = 10_000 if runs("release") else 300, 24

EXPRESSIONS = {
    "number": r"-?(0|[1-9][0-9]{0,8})(\.[0-9]{1,4})?",
    "date": r"(1[0-9]|20)[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])",
    "name": r"[a-z]{2,10} [a-z]{2,12}",
    "JSON": r'\["[a-z ]{1,8}",[0-9]{1,3},(true|false)\]',
}


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_all_texts_match_and_end_in_time(name: str) -> None:
    model = textgen.load("nietzsche")
    pattern = re.compile(EXPRESSIONS[name])
    batch = textgen.Batch(model)
    start = model.start("in the year ", seed=1, temperature=1.0, match=EXPRESSIONS[name])
    generations = start.fork(COUNT)
    for generation in generations:
        batch.add(generation, LENGTH)
    texts = batch.complete()
    assert len(texts) == COUNT
    assert all(pattern.fullmatch(text) and len(text) <= LENGTH for text in texts)
    assert len(set(texts)) > COUNT // 10
    assert {generation.ending for generation in generations} <= {"constraint", "length"}
