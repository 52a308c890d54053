"""Metadata is written as JSON, read back and checked."""

import json

import pytest
from textgen_runtime.model_file import Metadata, Quantization, make_tokenizer
from textgen_runtime.text import Normalization
from textgen_runtime.tokenizer import BYTE_SYMBOLS, SpecialTokens, Tokenizer

METADATA = Metadata(
    make_tokenizer("character", "abé𝄞\n"),
    Normalization(lowercase=True, unicode=None),
    ("ab", "𝄞"),
    {"corpus": "book"},
).to_props()


def test_metadata_is_read_as_it_was_written() -> None:
    metadata = Metadata.from_props(METADATA)
    assert metadata.tokenizer.symbols == ("a", "b", "é", "𝄞", "\n")
    assert metadata.normalization == Normalization(lowercase=True, unicode=None)
    assert metadata.prompts == ("ab", "𝄞")
    assert metadata.training == {"corpus": "book"}


def test_all_values_are_json() -> None:
    assert {key: json.loads(value) for key, value in METADATA.items()} == {
        "textgen.format": 1,
        "textgen.level": "character",
        "textgen.vocabulary": ["a", "b", "é", "𝄞", "\n"],
        "textgen.normalization": {"lowercase": True, "unicode": None},
        "textgen.prompts": ["ab", "𝄞"],
        "textgen.training": {"corpus": "book"},
    }


def test_nan_in_the_training_metadata_is_an_error() -> None:
    metadata = Metadata(make_tokenizer("character", "ab"), training={"held_out_nats": float("nan")})
    with pytest.raises(ValueError, match="JSON"):
        metadata.to_props()


def test_a_vocabulary_may_have_the_characters_of_json_syntax() -> None:
    symbols = (*'[]{},":', "\\", "a")
    metadata = Metadata(make_tokenizer("character", symbols)).to_props()
    assert Metadata.from_props(metadata).tokenizer.symbols == symbols


RECORDS = Metadata(
    make_tokenizer("character", ["", "", "a", "b"], SpecialTokens(begin=0, end=1)), records="lines"
)


@pytest.mark.parametrize(
    "tokenizer",
    [
        RECORDS.tokenizer,
        make_tokenizer("byte", (*BYTE_SYMBOLS, "", ""), SpecialTokens(begin=256, end=257)),
        make_tokenizer("word", ["a", *' [{,}]"', " a", "", "", "", "€uro"], SpecialTokens(9, 10, 11)),
    ],
)
def test_levels_and_records_are_read_as_they_were_written(tokenizer: Tokenizer) -> None:
    metadata = Metadata(tokenizer, records="blank")
    props = metadata.to_props()
    assert (props["textgen.format"], props["textgen.records"]) == ("2", '"blank"')
    read = Metadata.from_props(props)
    assert (read.tokenizer, read.records) == (tokenizer, "blank")
    assert read.tokenizer.level == tokenizer.level


def test_a_file_of_format_1_has_no_special_tokens() -> None:
    read = Metadata.from_props(METADATA | {"textgen.special": '{"unknown": 0}'})
    assert read.tokenizer.special == SpecialTokens()


@pytest.mark.parametrize(
    "tokenizer", [make_tokenizer("byte", BYTE_SYMBOLS), make_tokenizer("word", ["a", "ab"])]
)
def test_other_levels_have_format_2(tokenizer: Tokenizer) -> None:
    props = Metadata(tokenizer).to_props()
    assert props["textgen.format"] == "2"
    assert not {"textgen.special", "textgen.records"} & set(props)
    assert Metadata.from_props(props).records is None


def test_another_state_than_that_of_an_lstm_has_format_2() -> None:
    metadata = Metadata(make_tokenizer("character", "ab"))
    formats = [metadata.to_props(state)["textgen.format"] for state in (["cell", "hidden"], ["hidden"])]
    assert formats == ["1", "2"]


def test_records_and_their_tokens_must_be_written_together() -> None:
    for metadata in (
        RECORDS._replace(records=None),
        Metadata(make_tokenizer("character", "ab"), records="lines"),
    ):
        with pytest.raises(ValueError, match="records and begin and end tokens must be given together"):
            metadata.to_props()


def test_bytes_are_not_normalized() -> None:
    assert (
        Metadata(make_tokenizer("byte", BYTE_SYMBOLS), Normalization(lowercase=True)).normalize("A\r\n")
        == "A\r\n"
    )
    assert (
        Metadata(make_tokenizer("character", "a\n"), Normalization(lowercase=True)).normalize("A\r\n")
        == "a\n"
    )
    for tokenizer in (make_tokenizer("byte", BYTE_SYMBOLS), make_tokenizer("character", "ab")):
        with pytest.raises(TypeError, match="the text must be a str, not bytes"):
            Metadata(tokenizer).normalize(b"ab")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "quantization",
    [Quantization(), Quantization(loss=1.25, float32_loss=1, text={"name": "novel", "characters": 9})],
)
def test_the_metadata_of_8_bit_weights_is_read_as_it_was_written(quantization: Quantization) -> None:
    props = Metadata(make_tokenizer("character", "ab"), quantization=quantization).to_props()
    assert props["textgen.format"] == "2"
    assert set(json.loads(props["textgen.quantization"])) == {"bits", "loss", "float32_loss", "text"}
    assert Metadata.from_props(props).quantization == quantization
    assert Metadata.from_props(METADATA).quantization is None


def test_fields_of_newer_versions_in_the_metadata_of_8_bit_weights_are_ignored() -> None:
    props = METADATA | {"textgen.quantization": '{"bits": 8, "method": "other"}'}
    assert Metadata.from_props(props).quantization == Quantization()
