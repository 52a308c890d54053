"""Normalization of a text before it is encoded."""

import re
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textgen_runtime.text import MIN_LONG_RUN, POSSIBLE_LONG_RUN, Normalization, UnicodeForm, as_unicode_form


def test_line_ends_become_newlines_and_a_byte_order_mark_is_removed() -> None:
    assert Normalization().apply("\ufeffa\r\nb\rc\n") == "a\nb\nc\n"


def test_lower_case_and_unicode_forms() -> None:
    assert Normalization(lowercase=True).apply("AÉ") == "aé"
    assert Normalization(unicode="NFC").apply("e\u0301") == "é"
    assert Normalization(unicode="NFD").apply("é") == "e\u0301"
    assert Normalization(unicode=None).apply("e\u0301É") == "e\u0301É"


@given(st.text(), st.booleans(), st.sampled_from([None, "NFC", "NFD", "NFKC", "NFKD"]))
def test_result_has_the_requested_unicode_form(text: str, lowercase: bool, form: UnicodeForm | None) -> None:
    normalized = Normalization(lowercase, form).apply(text)
    assert "\r" not in normalized
    if form:
        assert unicodedata.is_normalized(form, normalized)


@given(st.text(), st.booleans(), st.sampled_from([None, "NFC", "NFD", "NFKC", "NFKD"]))
def test_normalized_text_does_not_change(text: str, lowercase: bool, form: UnicodeForm | None) -> None:
    """A model must be able to encode excerpts of its own corpus, which is normalized."""
    normalization = Normalization(lowercase, form)
    once = normalization.apply(text.replace("\ufeff", ""))
    assert normalization.apply(once) == once
    if lowercase:
        assert once == once.lower()


# Marks of several combining classes. The last ones have class 0 but decompose to marks of other classes.
MARKS = "\u0301\u0308\u0316\u0327\u0334\u0345\u05b0\u0f71\u0f72\u3099\U0001d165\u0344\u0f73\u0f75\uff9e"


@given(
    st.text(st.sampled_from(MARKS + "aé\uac00\ufdfa\u1100\u1161"), min_size=20, max_size=200),
    st.sampled_from(["NFC", "NFD", "NFKC", "NFKD"]),
)
def test_long_runs_of_marks_have_the_unicode_normal_form(text: str, form: UnicodeForm) -> None:
    assert Normalization(unicode=form).apply(text) == unicodedata.normalize(form, text)
    runs = text + MARKS * 10 + text[::-1] + MARKS[::-1] * 10
    assert Normalization(unicode=form).apply(runs) == unicodedata.normalize(form, runs)


@pytest.mark.parametrize("form", ["NFC", "NFD", "NFKC", "NFKD"])
@pytest.mark.parametrize("mark", ["\u0301", "\u0344", "\u0f73", "\uff9e"])
def test_long_runs_of_marks_are_sorted_before_unicodedata_normalizes_them(
    form: UnicodeForm, mark: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sort in ``unicodedata.normalize`` takes time quadratic in the length of a run."""
    normalize, arguments = unicodedata.normalize, list[str]()

    def recording(form: UnicodeForm, text: str) -> str:
        arguments.append(text)
        return normalize(form, text)

    monkeypatch.setattr(unicodedata, "normalize", recording)
    text = "a" + f"{mark}\u0316\u0334" * 500 + "b"
    assert Normalization(unicode=form).apply(text) == normalize(form, text)
    decomposed = normalize("NFKD" if "K" in form else "NFD", mark)
    longest = max(arguments, key=len)
    assert len(longest) >= len(text)
    classes = [unicodedata.combining(symbol) for symbol in longest[1:-1]]
    if unicodedata.combining(decomposed[0]):
        assert classes == sorted(classes)
    else:
        # In this form the mark is a letter, and no run has more than two marks.
        assert longest == text


def test_lower_case_is_applied_to_the_compatibility_form() -> None:
    assert Normalization(lowercase=True, unicode="NFKC").apply("20\u2103 \u2122") == "20°c tm"


def test_unicode_form_is_checked() -> None:
    assert as_unicode_form(None) is None
    assert as_unicode_form("NFKC") == "NFKC"
    with pytest.raises(ValueError, match="'NFX'"):
        as_unicode_form("NFX")


@pytest.mark.parametrize("form", ["NFD", "NFKD"])
def test_every_combining_mark_is_in_the_expression_for_long_runs(form: UnicodeForm) -> None:
    symbols = [chr(code) for code in range(sys.maxunicode + 1)]
    marks = [
        symbol
        for symbol in symbols
        if not symbol.isascii() and unicodedata.combining(unicodedata.normalize(form, symbol)[0])
    ]
    assert re.fullmatch(f"(?:{POSSIBLE_LONG_RUN})+", "".join(marks) + "\u0301" * (-len(marks) % MIN_LONG_RUN))
