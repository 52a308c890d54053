"""The byte-level tokenizer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textgen_runtime import PromptError, Sampling
from textgen_runtime.generation.loading import open_model
from textgen_runtime.text.byte_tokenizer import BYTE_SYMBOLS, ByteTokenizer, RawByteTokenizer
from textgen_runtime.text.tokenizer import SpecialTokens

from tests.helpers.byte_models import accented_content

TOKENIZER = ByteTokenizer()
RECORDS = ByteTokenizer((*BYTE_SYMBOLS, "", ""), SpecialTokens(begin=256, end=257))


@given(st.binary())
def test_any_file_is_encoded_as_its_bytes(content: bytes) -> None:
    text = content.decode("utf-8", "surrogateescape")
    assert bytes(TOKENIZER.encode(text).tolist()) == content
    assert TOKENIZER.can_encode(text)


@given(st.text())
def test_decoding_inverts_encoding(text: str) -> None:
    assert TOKENIZER.decode(TOKENIZER.encode(text, "skip")) == text
    assert "".join(TOKENIZER.decode_each(TOKENIZER.encode(text))) == text


@pytest.mark.parametrize("stop", [(), ("\udcc3\udca8", "ж", "\udce2a")])
def test_generated_text_does_not_depend_on_where_the_bytes_are_cut(stop: tuple[str, ...]) -> None:
    """Most characters of this model are not UTF-8."""
    model = open_model(accented_content())
    sampling, endings = Sampling(temperature=2.0, stop=stop), set()
    for seed in range(20):
        whole, parts = (model.start("a", seed=seed, sampling=sampling) for _ in range(2))
        expected, text = whole.take(100), ""
        while parts.drawn < whole.drawn:
            text += parts.take(min(1 + parts.drawn % 4, whole.drawn - parts.drawn))
        assert (text, parts.finish()) == (expected, whole.finish())
        endings.add(whole.ending)
    assert endings == ({"length", "stop"} if stop else {"length"})


def test_an_incomplete_character_at_the_end_adds_no_text() -> None:
    content = "a€".encode()
    assert [TOKENIZER.decode(content[:size]) for size in range(5)] == ["", "a", "a", "a", "a€"]
    # Half of a surrogate pair is no character.
    parts = (b"\xed", b"\xed\x9f", b"\xed\xa0", b"\xf0\x9f\x92")
    assert [TOKENIZER.decode(part) for part in parts] == ["", "", "\ufffd\ufffd", ""]
    assert RawByteTokenizer().decode(content[:3]) == "a\udce2\udc82"


def test_bytes_that_are_not_utf_8_become_the_replacement_character() -> None:
    assert TOKENIZER.decode(b"a\xffb\xe2\x82c") == "a\ufffdb\ufffdc"
    assert TOKENIZER.decode_each(b"a\xffb\xe2\x82c") == ["a", "\ufffd", "b", "", "", "\ufffdc"]


def test_special_tokens_have_no_text() -> None:
    assert RECORDS.decode([256, *b"ab", 257]) == "ab"
    assert RECORDS.encode("ab").tolist() == [97, 98]
    assert RECORDS != TOKENIZER == ByteTokenizer(BYTE_SYMBOLS)
    assert len(RECORDS) == 258


def test_halves_of_surrogate_pairs_are_outside_the_vocabulary() -> None:
    text = "a\ud800b"
    assert not TOKENIZER.can_encode(text)
    assert TOKENIZER.count_unknown(text) == {"\ud800": 1}
    assert TOKENIZER.encode(text, "skip").tolist() == [97, 98]
    with pytest.raises(PromptError, match=r"U\+D800"):
        TOKENIZER.encode(text)


@pytest.mark.parametrize(
    ("symbols", "special"),
    [
        (BYTE_SYMBOLS[:255], SpecialTokens()),
        (BYTE_SYMBOLS[::-1], SpecialTokens()),
        ((*BYTE_SYMBOLS, "ж"), SpecialTokens()),
        ((*BYTE_SYMBOLS, ""), SpecialTokens()),
        (("", "", *BYTE_SYMBOLS), SpecialTokens(begin=0, end=1)),
        ((*BYTE_SYMBOLS, ""), SpecialTokens(unknown=256)),
    ],
)
def test_other_vocabularies_are_rejected(symbols: tuple[str, ...], special: SpecialTokens) -> None:
    with pytest.raises(ValueError, match="a vocabulary of bytes"):
        ByteTokenizer(symbols, special)


def test_halves_of_surrogate_pairs_are_outside() -> None:
    assert ByteTokenizer().encode_known("aé\udcff").tolist() == [97, 0xC3, 0xA9, 0xFF]
    assert ByteTokenizer().encode_known("a\ud800é").tolist() == [97, -1, 0xC3, 0xA9]
