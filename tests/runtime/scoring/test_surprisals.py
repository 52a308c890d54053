"""Scores of records, compared with a calculation from textbook formulas."""

import math

import numpy as np
import pytest
import textgen_runtime as textgen
from hypothesis import given
from hypothesis import strategies as st
from textgen_runtime import Model
from textgen_runtime.model import EngineName, open_model
from textgen_runtime.model_file import Metadata, make_tokenizer
from textgen_runtime.scoring import surprisals as surprisals_module
from textgen_runtime.scoring.prediction import predict
from textgen_runtime.scoring.surprisals import record_surprisals, score_records
from textgen_runtime.text import SEPARATORS, RecordKind, is_held_out
from textgen_runtime.tokenizer import BYTE_SYMBOLS, NO_SPECIAL_TOKENS, SpecialTokens
from textgen_train.export.onnx_graph import build_model

from tests.helpers.make_tiny_model import random_network
from tests.helpers.record_models import LEVELS, WORDS, record_model

NAMES = ["abba", "", "cab", "d", "a" * 150, "dad"]


def expected_surprisals(model: Model, tokens: list[int]) -> list[float]:
    """Return the surprisal of each token and of the end, calculated one token at a time."""
    special = model.tokenizer.special
    assert special.begin is not None
    assert special.end is not None
    state, surprisals = model.engine.initial_state(), []
    for token, following in zip([special.begin, *tokens], [*tokens, special.end], strict=True):
        logits, state = model.engine.forward(np.array([[token]]), state)
        surprisals.append(-math.log(textgen.softmax(logits[0, 0])[following]))
    return surprisals


@pytest.mark.parametrize(
    ("level", "engine"), [*((level, "native") for level in LEVELS), ("character", "onnxruntime")]
)
def test_each_record_is_scored_from_begin_to_end(level: str, engine: EngineName) -> None:
    model = record_model(level, engine)
    records = [model.tokenizer.encode(name) for name in NAMES]
    expected = [expected_surprisals(model, list(record)) for record in records]
    score = score_records(model.engine, records, model.tokenizer.special)
    assert score.positions == sum(map(len, records)) + len(records)
    assert score.total_nats == pytest.approx(sum(map(sum, expected)), abs=1e-3)
    for record in record_surprisals(model.engine, records, model.tokenizer.special):
        np.testing.assert_allclose(record.surprisals, expected[record.number], atol=1e-4)


@pytest.mark.parametrize("limits", [(1, 2**20, 32), (64, 1, 32), (3, 2**20, 1000), (64, 400, 0)])
def test_the_score_does_not_depend_on_the_groups(
    monkeypatch: pytest.MonkeyPatch, limits: tuple[int, int, int]
) -> None:
    model = record_model()
    records = [model.tokenizer.encode(name) for name in NAMES * 3]
    expected = score_records(model.engine, records, model.tokenizer.special)
    for name, limit in zip(("MAX_LANES", "MAX_TOKENS", "MAX_PADDING"), limits, strict=True):
        monkeypatch.setattr(surprisals_module, name, limit)
    assert score_records(model.engine, records, model.tokenizer.special) == expected
    assert score_records(model.engine, [], model.tokenizer.special) == (0.0, 0)
    with pytest.raises(ValueError, match="tokens begin and end"):
        score_records(model.engine, records, NO_SPECIAL_TOKENS)


@given(st.lists(st.integers(0, 5000), max_size=200))
def test_groups_have_all_records_and_little_padding(lengths: list[int]) -> None:
    groups = list(surprisals_module.similar_lengths(lengths, 64))
    assert sorted(i for group in groups for i in group) == list(range(len(lengths)))
    for group in groups:
        assert 1 <= len(group) <= 64
        longest, shortest = lengths[group[0]], lengths[group[-1]]
        assert shortest <= longest <= 2 * shortest + surprisals_module.MAX_PADDING


@pytest.mark.parametrize(("level", "kind"), [("character", "lines"), ("byte", "blank"), ("word", "blank")])
def test_a_text_is_predicted_as_its_records(level: str, kind: RecordKind) -> None:
    model, separator = record_model(level, kind=kind), SEPARATORS[kind]
    names = ["abba", "cab é", "dad"]
    prediction = predict(model, "\n \n" + separator.join(names) + "\n")
    records = [model.tokenizer.encode(name) for name in names]
    assert (prediction.context, prediction.ends) == ("", 3)
    assert prediction.text == "".join(name + separator for name in names)
    expected = [value for record in records for value in expected_surprisals(model, list(record))]
    np.testing.assert_allclose(prediction.surprisals, expected, atol=1e-4)
    assert len(prediction.symbols) == len(prediction.choices) == len(expected)
    score = prediction.score
    assert score.characters == sum(len(name) + 1 for name in names)
    assert score.tokens == len(expected)
    assert score.token_nats == pytest.approx(score.total_nats / len(expected))


def test_the_held_out_records_are_those_of_training() -> None:
    model = record_model()
    names = ["".join("abcd"[i // 4**k % 4] for k in range(3)) for i in range(64)]
    prediction = predict(model, "\n".join(names), last=0.3)
    assert prediction.text.split("\n")[:-1] == [name for name in names if is_held_out(name, 0.3)]
    assert 5 < prediction.ends < 40


def test_texts_without_records_are_rejected() -> None:
    model = record_model()
    with pytest.raises(textgen.ScoringError, match="the text has no records"):
        predict(model, " \n\n")
    advice = r"in the held-out 0\.0001%: raise last$"
    with pytest.raises(textgen.ScoringError, match=f"the only record is not {advice}"):
        predict(model, "abc", last=1e-6)
    with pytest.raises(textgen.ScoringError, match=f"none of the 2 records is {advice}"):
        predict(model, "abc\nab", last=1e-6)


def test_unknown_characters_of_records() -> None:
    model = record_model()
    prediction = predict(model, "axb\nyz\n")
    assert (prediction.unknown, prediction.text) == (3, "axb\nyz\n")
    prediction = predict(model, "axb\nyz\n", unknown="skip")
    assert (prediction.skipped, prediction.unknown, prediction.text) == (3, 0, "ab\n\n")
    prediction = predict(record_model("word"), "cabxab cab\n")
    assert (prediction.unknown, prediction.symbols) == (1, ["cab", "x", "ab", " cab", "\n"])


def plain_model(tokenizer: textgen.Tokenizer, records: RecordKind | None = None) -> Model:
    metadata = Metadata(tokenizer, records=records)
    return open_model(build_model(*random_network(len(tokenizer)), metadata).SerializeToString())


def test_bytes_are_scored_per_character() -> None:
    model = plain_model(make_tokenizer("byte", BYTE_SYMBOLS))
    content = b"caf\xc3\xa9 \xff\x00 \xe4\xb8\x80\xe4\xb8"
    text = content.decode("utf-8", "surrogateescape")
    prediction = predict(model, text)
    assert prediction.text == text[1:]
    assert (prediction.score.characters, prediction.score.tokens) == (len(text) - 1, len(content) - 1)
    assert prediction.symbols[2:5] == ["", "é", " "]
    logits, _ = model.engine.forward(np.array([list(content[:-1])]).T, model.engine.initial_state())
    values = logits[:, 0].astype(np.float64)
    log_softmax = values - np.log(np.exp(values).sum(axis=1, keepdims=True))
    expected = [-log_softmax[i, byte] for i, byte in enumerate(content[1:])]
    np.testing.assert_allclose(prediction.surprisals, expected, atol=1e-4)
    held_out = predict(model, text, last=0.3)
    assert (held_out.context, held_out.text) == (" ", text[-3:])


def test_words_are_scored_per_character_and_per_token() -> None:
    model = plain_model(make_tokenizer("word", WORDS))
    prediction = predict(model, "ab cab ab")
    assert (prediction.context, list(prediction.symbols)) == ("ab", [" cab", " ", "ab"])
    score = prediction.score
    assert (score.characters, score.tokens) == (7, 3)
    assert score.nats == pytest.approx(prediction.surprisals.sum() / 7)
    assert score.perplexity == pytest.approx(np.exp(prediction.surprisals.mean()))
    assert score.accuracy == prediction.hits / 3
    # The last token before the held-out part, which starts within a word.
    held_out = predict(model, "ab cab ab", last=0.2)
    assert (held_out.context, held_out.text) == (" ", "ab")


def test_a_skipped_character_may_be_a_part_of_a_known_word() -> None:
    model = plain_model(make_tokenizer("word", [*"abc ", "caé"]))
    prediction = predict(model, "abécaé é caé", unknown="skip")
    assert list(prediction.symbols) == ["b", "caé", " ", " ", "caé"]
    assert (prediction.skipped, prediction.score.characters) == (2, 9)
    np.testing.assert_array_equal(prediction.surprisals, predict(model, "abcaé  caé").surprisals)


def test_the_error_about_unknown_characters_lists_those_of_all_records() -> None:
    tokenizer = make_tokenizer("word", (*WORDS, "", ""), SpecialTokens(begin=len(WORDS), end=len(WORDS) + 1))
    model = plain_model(tokenizer, "lines")
    with pytest.raises(textgen.PromptError, match=r"vocabulary: 'x' .*, 'y' .*, 'z' .*; remove them"):
        predict(model, "ab\nzx\nay\n")
