"""The word-level tokenizer, and the pieces that its vocabularies are made of."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from textgen_runtime import PromptError
from textgen_runtime.text import word_tokenizer
from textgen_runtime.text.tokenizer import SpecialTokens
from textgen_runtime.text.word_tokenizer import MAX_SYMBOL_LENGTH, WordTokenizer, piece_pattern

CHARACTERS = " ,\ntheorйç"
TOKENIZER = WordTokenizer([*CHARACTERS, "the", " the", " other", "ther", " йç"])
UNKNOWN = WordTokenizer(["", *TOKENIZER.symbols], SpecialTokens(unknown=0))


def symbols_of(text: str, tokenizer: WordTokenizer = TOKENIZER) -> list[str]:
    return [tokenizer.symbols[token] for token in tokenizer.encode(text)]


def longest_matches(text: str, tokenizer: WordTokenizer = TOKENIZER) -> list[str]:
    """Return the symbols of a text by the definition: each time the longest symbol that matches."""
    symbols, position = [], 0
    while position < len(text):
        matching = [symbol for symbol in tokenizer.symbols if text.startswith(symbol, position)]
        symbols.append(max(matching, key=len))
        position += len(symbols[-1])
    return symbols


@given(st.text(alphabet=CHARACTERS))
def test_text_is_encoded_as_the_longest_symbols_that_match(text: str) -> None:
    assert symbols_of(text) == longest_matches(text)
    assert TOKENIZER.decode(TOKENIZER.encode(text)) == text
    assert np.asarray(TOKENIZER.encode(text)).dtype == np.int64


# Some of its characters are symbols only as parts of words.
RARE = WordTokenizer([*" th", "the", " theЖ", "heЖt"])


@pytest.mark.parametrize("tokenizer", [TOKENIZER, UNKNOWN, RARE], ids=["all", "unknown symbol", "rare"])
@given(text=st.text(alphabet=CHARACTERS + "xЖ") | st.text(alphabet=" theЖ"))
def test_characters_that_no_text_can_have_are_outside(tokenizer: WordTokenizer, text: str) -> None:
    """A character outside the vocabulary ends a symbol, and no other text is cut there."""
    expected: list[int] = []
    position = 0
    while position < len(text):
        symbols = filter(None, tokenizer.symbols)
        matching = [symbol for symbol in symbols if text.startswith(symbol, position)]
        longest = max(matching, key=len, default=text[position])
        expected.append(tokenizer.symbols.index(longest) if matching else -1)
        position += len(longest)
    assert tokenizer.encode_known(text).tolist() == expected


@given(st.text(alphabet="abc"))
def test_symbols_may_be_prefixes_of_each_other(text: str) -> None:
    tokenizer = WordTokenizer(["b", *("b" + "a" * length for length in range(1, 64, 3)), "a", "c", "aab"])
    assert symbols_of(text, tokenizer) == longest_matches(text, tokenizer)


@given(st.text(alphabet=CHARACTERS + "x"))
def test_text_may_be_cut_between_pieces(text: str) -> None:
    pieces = piece_pattern().findall(text)
    assert "".join(pieces) == text
    assert [token for piece in pieces for token in UNKNOWN.encode(piece)] == UNKNOWN.encode(text).tolist()


def test_pieces_are_words_with_a_space_and_other_characters() -> None:
    assert piece_pattern().findall("Don't stop, 2nd_try!\n  Ж हिन्दी\t一二") == [
        *("Don", "'", "t", " stop", ",", " 2nd_try", "!", "\n", " ", " Ж", " हिन्दी", "\t", "一二")
    ]


@given(st.text(max_size=20))
def test_every_short_piece_is_a_symbol(text: str) -> None:
    assert all(map(WordTokenizer.is_symbol, piece_pattern().findall(text)))


@pytest.mark.parametrize("text", ["a b", "  a", "a\n", "a,", "ab ", "x" * (MAX_SYMBOL_LENGTH + 1), " " * 2])
def test_symbols_have_no_space_inside_and_no_punctuation(text: str) -> None:
    assert not WordTokenizer.is_symbol(text)


def test_characters_outside_the_vocabulary() -> None:
    text = "the x thex"
    assert not TOKENIZER.can_encode(text)
    assert TOKENIZER.can_encode("the other")
    assert TOKENIZER.count_unknown(text) == UNKNOWN.count_unknown(text) == {"x": 2}
    assert symbols_of(text, UNKNOWN) == ["the", " ", "", " the", ""]
    assert TOKENIZER.decode(TOKENIZER.encode(text, "skip")) == "the  the"
    with pytest.raises(PromptError, match=r"not in the model's vocabulary: 'x' \(U\+0078\); remove them"):
        TOKENIZER.encode(text)
    with pytest.raises(PromptError, match="the vocabulary has their lower case"):
        TOKENIZER.encode("The")


def test_cached_chunks_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(word_tokenizer, "MAX_CACHED_CHUNKS", 2)
    tokenizer = WordTokenizer(TOKENIZER.symbols)
    text = "the other theth hehe rr " + "o" * 200
    for _ in range(2):
        assert tokenizer.encode(text) == TOKENIZER.encode(text)
    assert len(tokenizer._chunks) == 2


def test_special_tokens_have_no_text() -> None:
    assert UNKNOWN.decode([0, 1]) == " "
    assert UNKNOWN.decode_each([0, 1]) == ["\ufffd", " "]
