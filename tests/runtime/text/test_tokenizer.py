"""Characters to tokens and back."""

import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from textgen_runtime import PromptError
from textgen_runtime.text.normalization import Normalization, UnicodeForm, as_unicode_form
from textgen_runtime.text.tokenizer import CharacterTokenizer

TOKENIZER = CharacterTokenizer("ab𝄞")


@given(st.text(alphabet="ab𝄞"))
def test_encoding_and_decoding_are_inverse(text: str) -> None:
    tokens = TOKENIZER.encode(text)
    assert np.asarray(tokens).dtype == np.int64
    assert len(tokens) == len(text)
    assert TOKENIZER.decode(tokens) == text


def test_unknown_characters_are_listed_once_each_with_their_code_points() -> None:
    with pytest.raises(PromptError) as caught:
        TOKENIZER.encode("zaébéz")
    assert "'z' (U+007A), 'é' (U+00E9);" in str(caught.value)
    assert "skip" in str(caught.value)


def test_many_unknown_characters_are_not_all_listed() -> None:
    with pytest.raises(PromptError, match=r"'l' \(U\+006C\) and 3 more;"):
        TOKENIZER.encode("cdefghijklmno")


def test_capitals_of_known_letters_are_said_to_be_such() -> None:
    with pytest.raises(PromptError) as caught:
        TOKENIZER.encode("aABA")
    assert str(caught.value) == (
        "the model does not know 'A' (U+0041), 'B' (U+0042), but it knows the lower case: use "
        "prompt.lower(), on the command line --lowercase"
    )
    with pytest.raises(PromptError) as caught:
        TOKENIZER.encode("aAZ")
    assert str(caught.value) == (
        "the model does not know 'A' (U+0041), 'Z' (U+005A); it knows the lower case of 'A' (U+0041): "
        "use prompt.lower(), on the command line --lowercase; leave the others out, or have them skipped "
        '(unknown="skip", on the command line --unknown skip)'
    )
    with pytest.raises(PromptError) as caught:
        TOKENIZER.encode("Zz")
    assert "lower" not in str(caught.value)


def test_what_is_unknown_is_counted() -> None:
    assert TOKENIZER.unknown_in("zaébéz") == {"z": 2, "é": 2}
    assert not TOKENIZER.unknown_in("ab𝄞")


def test_unknown_characters_can_be_skipped() -> None:
    assert TOKENIZER.decode(TOKENIZER.encode("zaébé", "skip")) == "ab"


def test_vocabularies_of_the_same_characters_are_equal() -> None:
    assert CharacterTokenizer("ab") == CharacterTokenizer(["a", "b"]) != CharacterTokenizer("ba")
    assert hash(CharacterTokenizer("ab")) == hash(CharacterTokenizer(["a", "b"]))
    assert CharacterTokenizer("ab") != ("a", "b")


def test_another_policy_is_refused() -> None:
    with pytest.raises(ValueError, match="'error' or 'skip'"):
        TOKENIZER.encode("a", "ignore")  # type: ignore[arg-type]


def test_line_ends_and_a_byte_order_mark() -> None:
    assert Normalization().apply("\ufeffa\r\nb\rc\n") == "a\nb\nc\n"


def test_lower_case_and_unicode_forms() -> None:
    assert Normalization(lowercase=True).apply("AÉ") == "aé"
    assert Normalization(unicode="NFC").apply("e\u0301") == "é"
    assert Normalization(unicode="NFD").apply("é") == "e\u0301"
    assert Normalization(unicode=None).apply("e\u0301É") == "e\u0301É"


@given(st.text(), st.booleans(), st.sampled_from([None, "NFC", "NFD", "NFKC", "NFKD"]))
def test_the_result_is_in_the_form_that_was_asked_for(
    text: str, lowercase: bool, form: UnicodeForm | None
) -> None:
    normalized = Normalization(lowercase, form).apply(text)
    assert "\r" not in normalized
    if form:
        assert unicodedata.is_normalized(form, normalized)


@given(st.text(), st.booleans(), st.sampled_from([None, "NFC", "NFD", "NFKC", "NFKD"]))
def test_what_is_in_the_form_stays_as_it_is(text: str, lowercase: bool, form: UnicodeForm | None) -> None:
    """Or a model could not read the snippets of its own corpus."""
    normalization = Normalization(lowercase, form)
    once = normalization.apply(text.replace("\ufeff", ""))
    assert normalization.apply(once) == once
    if lowercase:
        assert once == once.lower()


# Of several combining classes; the last ones are of class 0 but decompose to such marks.
MARKS = "\u0301\u0308\u0316\u0327\u0334\u0345\u05b0\u0f71\u0f72\u3099\U0001d165\u0344\u0f73\u0f75\uff9e"


@given(
    st.text(st.sampled_from(MARKS + "aé\uac00\ufdfa\u1100\u1161"), min_size=20, max_size=200),
    st.sampled_from(["NFC", "NFD", "NFKC", "NFKD"]),
)
def test_long_runs_of_marks_have_the_form_that_they_had(text: str, form: UnicodeForm) -> None:
    assert Normalization(unicode=form).apply(text) == unicodedata.normalize(form, text)
    runs = text + MARKS * 10 + text[::-1] + MARKS[::-1] * 10
    assert Normalization(unicode=form).apply(runs) == unicodedata.normalize(form, runs)


@pytest.mark.parametrize("form", ["NFC", "NFD", "NFKC", "NFKD"])
@pytest.mark.parametrize("mark", ["\u0301", "\u0344", "\u0f73", "\uff9e"])
def test_unicodedata_gets_long_runs_of_marks_in_order(
    form: UnicodeForm, mark: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would sort them in a time that grows with the square of their number."""
    normalize, given_texts = unicodedata.normalize, list[str]()

    def watched(form: UnicodeForm, text: str) -> str:
        given_texts.append(text)
        return normalize(form, text)

    monkeypatch.setattr(unicodedata, "normalize", watched)
    text = "a" + f"{mark}\u0316\u0334" * 500 + "b"
    assert Normalization(unicode=form).apply(text) == normalize(form, text)
    decomposed = normalize("NFKD" if "K" in form else "NFD", mark)
    longest = max(given_texts, key=len)
    assert len(longest) >= len(text)
    classes = [unicodedata.combining(symbol) for symbol in longest[1:-1]]
    if unicodedata.combining(decomposed[0]):
        assert classes == sorted(classes)
    else:
        # In this form the sign is a letter, and no run is longer than two.
        assert longest == text


def test_signs_whose_compatible_form_is_a_capital() -> None:
    assert Normalization(lowercase=True, unicode="NFKC").apply("20\u2103 \u2122") == "20°c tm"


def test_unicode_forms_read_from_a_file() -> None:
    assert as_unicode_form(None) is None
    assert as_unicode_form("NFKC") == "NFKC"
    with pytest.raises(ValueError, match="'NFX'"):
        as_unicode_form("NFX")


@pytest.mark.parametrize("unknown", [5, 1, -1])
def test_the_unknown_symbol_is_one_of_them(unknown: int) -> None:
    with pytest.raises(ValueError, match=f"unknown must be a token, one of 1, not {unknown}"):
        CharacterTokenizer(["a"], unknown=unknown)
