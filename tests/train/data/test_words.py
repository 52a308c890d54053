"""The pieces of a text that word-level vocabularies are made of."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textgen_runtime.model_file import make_tokenizer
from textgen_runtime.tokenizer import SpecialTokens
from textgen_train.data.words import MAX_SYMBOL_LENGTH, is_symbol, piece_pattern

TOKENIZER = make_tokenizer("word", ["", *" ,\nthe", "the", " the", "ther"], SpecialTokens(unknown=0))


@given(st.text(alphabet=" ,\nthex"))
def test_text_may_be_cut_between_pieces(text: str) -> None:
    pieces = piece_pattern().findall(text)
    assert "".join(pieces) == text
    assert [t for piece in pieces for t in TOKENIZER.encode(piece)] == TOKENIZER.encode(text).tolist()


def test_pieces_are_words_with_a_space_and_other_characters() -> None:
    assert piece_pattern().findall("Don't stop, 2nd_try!\n  Ж हिन्दी\t一二") == [
        *("Don", "'", "t", " stop", ",", " 2nd_try", "!", "\n", " ", " Ж", " हिन्दी", "\t", "一二")
    ]


@given(st.text(max_size=20))
def test_every_short_piece_is_a_symbol(text: str) -> None:
    assert all(map(is_symbol, piece_pattern().findall(text)))


@pytest.mark.parametrize("text", ["a b", "  a", "a\n", "a,", "ab ", "x" * (MAX_SYMBOL_LENGTH + 1), " " * 2])
def test_symbols_have_no_space_inside_and_no_punctuation(text: str) -> None:
    assert not is_symbol(text)
