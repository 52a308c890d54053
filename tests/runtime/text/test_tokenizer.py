"""Special tokens: names, and the checks that they fit a vocabulary."""

import pytest
from textgen_runtime.text.tokenizer import NO_SPECIAL_TOKENS, SpecialTokens


def test_only_the_end_can_be_drawn() -> None:
    assert SpecialTokens(unknown=0, begin=4, end=5).never_drawn == (0, 4)
    assert SpecialTokens(begin=4, end=5).never_drawn == (4,)
    assert NO_SPECIAL_TOKENS.never_drawn == ()


def test_tokens_that_exist_have_names() -> None:
    assert SpecialTokens(unknown=0).by_name == {"unknown": 0}
    assert SpecialTokens(begin=4, end=5).by_name == {"begin": 4, "end": 5}
    assert NO_SPECIAL_TOKENS.by_name == {}


@pytest.mark.parametrize(
    ("special", "message"),
    [
        (SpecialTokens(unknown=3), r"unknown must be a token in \[0, 3\), not 3"),
        (SpecialTokens(begin=1, end=-1), r"end must be a token in \[0, 3\), not -1"),
        (SpecialTokens(unknown=0), "the entry of unknown must be \"\", not 'a'"),
        (SpecialTokens(begin=1, end=1), "the special tokens must differ: begin, end"),
        (SpecialTokens(begin=1), "begin and end must be given together"),
        (SpecialTokens(end=1), "begin and end must be given together"),
    ],
)
def test_tokens_that_do_not_fit_are_rejected(special: SpecialTokens, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        special.check(["a", "", ""])
    SpecialTokens(begin=1, end=2).check(["a", "", ""])
