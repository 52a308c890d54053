"""Symbols of a vocabulary, and the character-level tokenizer."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from textgen_runtime import PromptError
from textgen_runtime.text.token_names import format_symbols
from textgen_runtime.text.tokenizer import SpecialTokens
from textgen_runtime.text.vocabulary import CharacterTokenizer

TOKENIZER = CharacterTokenizer("ab𝄞")


@given(st.text(alphabet="ab𝄞"))
def test_decoding_inverts_encoding(text: str) -> None:
    tokens = TOKENIZER.encode(text)
    assert np.asarray(tokens).dtype == np.int64
    assert len(tokens) == len(text)
    assert TOKENIZER.decode(tokens) == text


def test_error_lists_each_unknown_character_once_with_its_code_point() -> None:
    with pytest.raises(PromptError) as caught:
        TOKENIZER.encode("zaébéz")
    assert "'z' (U+007A), 'é' (U+00E9);" in str(caught.value)
    assert "skip" in str(caught.value)


def test_error_lists_at_most_ten_unknown_characters() -> None:
    with pytest.raises(PromptError, match=r"'l' \(U\+006C\) and 3 more;"):
        TOKENIZER.encode("cdefghijklmno")


def test_words_are_listed_without_their_code_points() -> None:
    assert format_symbols(["\n", " the", "'s"]) == "'\\n' (U+000A), ' the', \"'s\""
    assert format_symbols(["w"] * 1011).endswith("'w' (U+0077) and 1,001 more")


def test_error_suggests_lower_case_if_it_is_in_the_vocabulary() -> None:
    with pytest.raises(PromptError) as caught:
        TOKENIZER.encode("aABA")
    assert str(caught.value) == (
        "not in the model's vocabulary: 'A' (U+0041), 'B' (U+0042); the vocabulary has their lower case: "
        "use prompt.lower()"
    )
    with pytest.raises(PromptError) as caught:
        TOKENIZER.encode("aAZ")
    assert str(caught.value) == (
        "not in the model's vocabulary: 'A' (U+0041), 'Z' (U+005A); the vocabulary has the lower case of "
        "'A' (U+0041): use prompt.lower(); remove the other characters, or skip them with unknown=\"skip\""
    )
    with pytest.raises(PromptError) as caught:
        TOKENIZER.encode("Zz")
    assert "lower" not in str(caught.value)


def test_the_error_about_undecoded_bytes_names_the_locale() -> None:
    text = "a日".encode().decode("ascii", "surrogateescape")
    message = r"'\\udc97' \(U\+DC97\), .*: convert the text to UTF-8, and use a UTF-8 locale"
    with pytest.raises(PromptError, match=message):
        TOKENIZER.encode(text)


def test_unknown_characters_are_counted() -> None:
    assert TOKENIZER.count_unknown("zaébéz") == {"z": 2, "é": 2}
    assert not TOKENIZER.count_unknown("ab𝄞")


def test_unknown_characters_can_be_skipped() -> None:
    assert TOKENIZER.decode(TOKENIZER.encode("zaébé", "skip")) == "ab"


def test_tokenizers_with_the_same_vocabulary_are_equal() -> None:
    assert CharacterTokenizer("ab") == CharacterTokenizer(["a", "b"]) != CharacterTokenizer("ba")
    assert hash(CharacterTokenizer("ab")) == hash(CharacterTokenizer(["a", "b"]))
    assert CharacterTokenizer("ab") != ("a", "b")


def test_invalid_policy_for_unknown_characters_is_rejected() -> None:
    with pytest.raises(ValueError, match="'error' or 'skip'"):
        TOKENIZER.encode("a", "ignore")  # type: ignore[arg-type]


def test_characters_that_no_text_can_have_are_outside() -> None:
    for tokenizer, expected in (
        (CharacterTokenizer("ab"), [1, -1, 0]),
        (CharacterTokenizer(["", "a", "b"], SpecialTokens(unknown=0)), [2, -1, 1]),
    ):
        assert tokenizer.encode_known("bxa").tolist() == expected
