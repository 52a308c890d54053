"""Benchmarks of models of records, bytes and words."""

import pytest
from textgen_runtime.bench.context import BenchContext
from textgen_runtime.bench.deadline import NO_DEADLINE
from textgen_runtime.bench.document import describe_model, format_vocabulary
from textgen_runtime.bench.endless import endless
from textgen_runtime.bench.sections import measure
from textgen_runtime.cli._bench_outputs import model_heading
from textgen_runtime.generation.loading import open_model
from textgen_runtime.text.levels import unit_of

from tests.helpers.paths import TINY
from tests.helpers.record_models import LEVELS, record_content


@pytest.mark.parametrize("level", LEVELS)
def test_texts_that_are_measured_do_not_end(level: str) -> None:
    content = record_content(level, end_bias=20.0)
    model = open_model(content, "native")
    changed = open_model(endless(content, model), "native")
    generation = changed.start(temperature=2.0, seed=1)
    generation.take(500)
    assert generation.ending == "length"
    # Nothing else is different.
    end = model.tokenizer.special.end
    assert end is not None
    logits, changed_logits = model.start("cab").logits, changed.start("cab").logits
    assert [*logits[:end], *logits[end + 1 :]] == [*changed_logits[:end], *changed_logits[end + 1 :]]


def test_a_model_without_records_is_not_changed() -> None:
    content = TINY.read_bytes()
    assert endless(content, open_model(content, "native")) is content


@pytest.mark.parametrize(("level", "unit"), [("character", "character"), ("byte", "byte"), ("word", "token")])
def test_tables_name_the_tokens_of_the_level(level: str, unit: str) -> None:
    content = record_content(level)
    model = open_model(content, "native")
    assert unit_of(model.tokenizer) == unit
    context = BenchContext(endless(content, model), ("native",), 0.5, 0.001, 1, 500, unit)
    (section,) = [section for _, section in measure(context, ["prompts"], NO_DEADLINE)]
    assert f"prompt of 512 {unit}s" in str(section)
    assert f"per {unit}" in str(section)


@pytest.mark.parametrize(
    ("level", "size"),
    [
        ("character", "7 characters and 3 special tokens"),
        ("byte", "256 bytes and 2 special tokens"),
        ("word", "13 tokens, 3 of them special"),
    ],
)
def test_special_tokens_are_no_characters(level: str, size: str) -> None:
    description = describe_model("m.onnx", open_model(record_content(level), "native"))
    assert format_vocabulary(description) == size
    assert f"units, {size}, temperature 0.5" in model_heading(description, 0.5)


def test_a_vocabulary_without_special_tokens_has_characters_only() -> None:
    assert format_vocabulary(describe_model("m.onnx", open_model(TINY.read_bytes()))) == "12 characters"
    assert format_vocabulary({"vocabulary": 57}) == "57 characters"
    assert format_vocabulary({"vocabulary": 58, "special_tokens": 1}) == "57 characters and 1 special token"
