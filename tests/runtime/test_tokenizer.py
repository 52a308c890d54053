"""Text to tokens and back, at each level, with and without an unknown symbol."""

import numpy as np
import pytest
import textgen_runtime as textgen
from hypothesis import given
from hypothesis import strategies as st
from textgen_runtime import PromptError, Sampling
from textgen_runtime.model import EngineName, open_model
from textgen_runtime.model_file import Metadata, make_tokenizer
from textgen_runtime.tokenizer import BYTE_SYMBOLS, SpecialTokens, Tokenizer, format_symbols

from tests.helpers.byte_models import accented_content
from tests.helpers.make_tiny_model import build_model, random_weights

UNKNOWN = make_tokenizer("character", ["", "a", "b", "c"], SpecialTokens(unknown=0))
BYTES = make_tokenizer("byte", (*BYTE_SYMBOLS, "", ""), SpecialTokens(begin=256, end=257))
WORDS = [*" ,\ntheorйç\ufeff", "the", " the", " other", "ther", " йç"]
TOKENIZERS = {
    "characters": make_tokenizer("character", " ,\ntheorйç𝄞"),
    "unknown": UNKNOWN,
    "words": make_tokenizer("word", WORDS),
    "unknown word": make_tokenizer("word", ["", *WORDS], SpecialTokens(unknown=0)),
    # Some of its characters are symbols only as parts of words.
    "rare": make_tokenizer("word", [*" th", "the", " theЖ", "heЖt"]),
    "prefixes": make_tokenizer("word", ["b", *("b" + "a" * i for i in range(1, 64, 3)), "a", "c", "aab"]),
}
TEXTS = st.text(" ,\ntheorйç𝄞xЖ\ufeff\ud800") | st.text("abcx") | st.text(" theЖ")


def pieces(text: str, symbols: tuple[str, ...]) -> list[tuple[int, str]]:
    """The definition: each time the longest symbol that matches, or a character that is outside."""
    found: list[tuple[int, str]] = []
    while text:
        matching = [symbol for symbol in symbols if symbol and text.startswith(symbol)]
        longest = max(matching, key=len, default=text[0])
        found.append((symbols.index(longest) if matching else -1, longest))
        text = text[len(longest) :]
    return found


@pytest.mark.parametrize("tokenizer", TOKENIZERS.values(), ids=TOKENIZERS.keys())
@given(text=TEXTS)
def test_text_is_encoded_as_the_longest_symbols_that_match(tokenizer: Tokenizer, text: str) -> None:
    expected = pieces(text, tokenizer.symbols)
    known = [token for token, _ in expected if token >= 0]
    outside = [piece for token, piece in expected if token < 0]
    assert tokenizer.encode_known(text).tolist() == [token for token, _ in expected]
    assert tokenizer.encode(text, "skip").tolist() == known
    assert tokenizer.decode(known) == "".join(piece for token, piece in expected if token >= 0)
    assert "".join(tokenizer.decode_each(known)) == tokenizer.decode(known)
    assert sorted(tokenizer.count_unknown(text).elements()) == sorted(outside)
    assert tokenizer.can_encode(text) == (not outside)
    if tokenizer.unknown is not None or not outside:
        tokens = tokenizer.encode(text)
        assert np.asarray(tokens).dtype == np.int64
        assert tokens.tolist() == [tokenizer.unknown if token < 0 else token for token, _ in expected]
    else:
        with pytest.raises(PromptError) as caught:
            tokenizer.encode(text)
        assert format_symbols(sorted(set(outside))) in str(caught.value)


@given(st.binary())
def test_any_file_is_encoded_as_its_bytes(content: bytes) -> None:
    text = content.decode("utf-8", "surrogateescape")
    assert bytes(BYTES.encode(text).tolist()) == content
    assert BYTES.raw().decode(content) == text


@given(st.text())
def test_bytes_decode_to_their_text(text: str) -> None:
    assert BYTES.decode([256, *BYTES.encode(text), 257]) == text
    assert "".join(BYTES.decode_each(BYTES.encode(text))) == text


def test_halves_of_surrogate_pairs_are_no_bytes() -> None:
    assert BYTES.encode_known("aé\udcff").tolist() == [97, 0xC3, 0xA9, 0xFF]
    assert BYTES.encode_known("a\ud800é").tolist() == [97, -1, 0xC3, 0xA9]
    assert BYTES.count_unknown("a\ud800b") == {"\ud800": 1}
    assert BYTES.encode("a\ud800b", "skip").tolist() == [97, 98]
    with pytest.raises(PromptError, match=r"U\+D800"):
        BYTES.encode("a\ud800b")


def test_an_incomplete_character_at_the_end_adds_no_text() -> None:
    content = "a€".encode()
    assert [BYTES.decode(content[:size]) for size in range(5)] == ["", "a", "a", "a", "a€"]
    # Half of a surrogate pair is no character.
    parts = (b"\xed", b"\xed\x9f", b"\xed\xa0", b"\xf0\x9f\x92")
    assert [BYTES.decode(part) for part in parts] == ["", "", "\ufffd\ufffd", ""]
    assert BYTES.raw().decode(content[:3]) == "a\udce2\udc82"


def test_bytes_that_are_not_utf_8_become_the_replacement_character() -> None:
    assert BYTES.decode(b"a\xffb\xe2\x82c") == "a\ufffdb\ufffdc"
    assert BYTES.decode_each(b"a\xffb\xe2\x82c") == ["a", "\ufffd", "b", "", "", "\ufffdc"]


def test_special_tokens_are_shown_as_the_replacement_character() -> None:
    assert UNKNOWN.decode_each([1, 0, 2]) == "a\ufffdb"
    assert TOKENIZERS["unknown word"].decode_each([0, 1]) == ["\ufffd", " "]
    assert SpecialTokens(unknown=0, begin=4, end=5).never_drawn == (0, 4)


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


def test_words_are_listed_without_their_code_points() -> None:
    assert format_symbols(["\n", " the", "'s"]) == "'\\n' (U+000A), ' the', \"'s\""
    assert format_symbols(["w"] * 1011).endswith("'w' (U+0077) and 1,001 more")


def test_an_unknown_quotation_mark_is_answered_with_those_of_the_model() -> None:
    with pytest.raises(PromptError, match=r"'\u201c' \(U\+201C\); type '\"' \(U\+0022\), or skip"):
        make_tokenizer("character", ["a", '"', "-"]).encode("\u201ca")


@pytest.mark.parametrize(
    ("level", "symbols", "special"),
    [
        ("character", ["a", "b"], SpecialTokens(unknown=2)),
        ("character", ["a", "b"], SpecialTokens(unknown=0)),
        ("character", ["a", "", ""], SpecialTokens(begin=1)),
        ("character", ["a", "ab"], SpecialTokens()),
        ("byte", BYTE_SYMBOLS[::-1], SpecialTokens()),
        ("byte", (*BYTE_SYMBOLS, ""), SpecialTokens(unknown=256)),
        ("word", ["a", "a b"], SpecialTokens()),
        ("letter", ["a"], SpecialTokens()),
    ],
)
def test_the_core_refuses_another_vocabulary(
    level: str, symbols: tuple[str, ...], special: SpecialTokens
) -> None:
    with pytest.raises(ValueError, match="metadata"):
        make_tokenizer(level, symbols, special)


def test_tokenizers_with_the_same_vocabulary_are_equal() -> None:
    one, other = (make_tokenizer("character", symbols) for symbols in ("ab", ["a", "b"]))
    assert (one, hash(one)) == (other, hash(other))
    assert one != make_tokenizer("character", "ba") != ("b", "a")
    with pytest.raises(ValueError, match="'error' or 'skip'"):
        one.encode("a", "ignore")  # type: ignore[arg-type]


def content_of(tokenizer: Tokenizer, bias: float, prompts: tuple[str, ...] = ()) -> bytes:
    """Return a model file in which the first symbol has this bias."""
    weights = random_weights(len(tokenizer), units=8, embedding=4, scale=0.3)
    weights[-1][0] = bias
    return build_model(weights, Metadata(tokenizer, prompts=prompts)).SerializeToString()


@pytest.fixture(scope="module")
def content() -> bytes:
    """A model file in which the unknown symbol has the largest logit."""
    return content_of(UNKNOWN, 5.0, ("abc",))


@pytest.mark.parametrize("engine", ["native", "onnxruntime"])
def test_logits_of_a_generation_exclude_the_unknown_symbol(content: bytes, engine: EngineName) -> None:
    """The logit is minus infinity after the prompt, after generated text and after fed text."""
    generation = open_model(content, engine).start("axb", temperature=1.0, seed=0)
    for advance in (lambda: None, lambda: generation.take(3), lambda: generation.feed("cxa")):
        advance()
        assert generation.logits[0] == -np.inf
        assert np.isfinite(generation.logits[1:]).all()


def test_unknown_symbol_is_scored_and_counted(content: bytes) -> None:
    model = open_model(content)
    prediction = textgen.predict(model, "axbyc")
    assert prediction.text == "xbyc"
    assert (prediction.unknown, prediction.skipped) == (2, 0)
    assert prediction.surprisals[0] < 0.5 < prediction.surprisals[1]
    skipped = textgen.predict(model, "axbyc", unknown="skip")
    assert (skipped.text, skipped.unknown, skipped.skipped) == ("bc", 0, 2)
    assert textgen.predict(model, "abc").unknown == 0
    # The first character is not scored, and not counted.
    assert textgen.predict(model, "xbc").unknown == 0


def test_unknown_symbol_differs_from_a_replacement_character_in_the_vocabulary() -> None:
    """The text of both choices is U+FFFD, but only equal tokens count as correct."""
    tokenizer = make_tokenizer("character", ["", "a", "\ufffd"], SpecialTokens(unknown=0))
    prediction = textgen.predict(open_model(content_of(tokenizer, 50.0)), "a\ufffdxa")
    assert (prediction.text, prediction.choices) == ("\ufffdxa", "\ufffd" * 3)
    assert prediction.score.hits == prediction.hits == 1
