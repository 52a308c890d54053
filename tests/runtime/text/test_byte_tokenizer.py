"""The byte-level tokenizer."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textgen_runtime import PromptError
from textgen_runtime.text.byte_tokenizer import BYTE_SYMBOLS, ByteTokenizer
from textgen_runtime.text.special_tokens import SpecialTokens

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


@given(st.binary(max_size=12), st.lists(st.integers(0, 12)))
def test_text_does_not_depend_on_where_the_bytes_are_cut(content: bytes, cuts: list[int]) -> None:
    decoder = TOKENIZER.decoder()
    bounds = sorted([0, *cuts, len(content)])
    chunks = [decoder.decode(content[start:end]) for start, end in pairwise(bounds)]
    assert "".join(chunks) == TOKENIZER.decode(content)


@given(st.binary(max_size=12))
def test_tail_restores_a_decoder(content: bytes) -> None:
    decoder = TOKENIZER.decoder()
    decoder.decode(content)
    assert len(decoder.tail) <= 3
    restored = TOKENIZER.decoder()
    assert restored.decode(decoder.tail) == ""
    copied = decoder.copy()
    following = "ж€𝄞".encode()
    assert restored.decode(following) == copied.decode(following) == decoder.decode(following)


def test_incomplete_characters_are_held_back() -> None:
    decoder = TOKENIZER.decoder()
    assert list(map(decoder.decode, ([byte] for byte in "a€".encode()))) == ["a", "", "", "€"]


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


def test_entries_are_characters_up_to_u_00ff() -> None:
    assert all(map(ByteTokenizer.is_symbol, BYTE_SYMBOLS))
    assert not any(map(ByteTokenizer.is_symbol, ["\u0100", "ab"]))


def test_a_character_that_a_chunk_cuts_is_in_the_next_chunk() -> None:
    decoder = ByteTokenizer().decoder()
    first, second = [*"aé".encode()][:2], [*"é".encode()][1:]
    assert decoder.decode(first) + decoder.finish() == "a"
    copy = decoder.copy()
    assert decoder.decode(second) == copy.decode(second) == "é"


def test_a_character_that_stays_incomplete_has_no_text_after_the_end_of_a_chunk() -> None:
    decoder = ByteTokenizer().decoder()
    assert decoder.decode([*"é".encode()][:1]) + decoder.finish() == ""
    copy = decoder.copy()
    assert decoder.decode(b"b") == copy.decode(b"b") == "b"
