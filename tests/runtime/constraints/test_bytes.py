"""Constraints of models of bytes: a character is its bytes in UTF-8."""

import random
import re

import pytest
from textgen_runtime.constraints import compile_constraint
from textgen_runtime.errors import ConstraintError
from textgen_runtime.tokenizer import BYTE_SYMBOLS

from tests.helpers.constraint_texts import matches, random_tokens

SYMBOLS = tuple(BYTE_SYMBOLS)
# Around the limits of each length, of surrogates and of Latin-1.
EDGES = [
    0x7F,
    0x80,
    0xFF,
    0x7FF,
    0x800,
    0xD7FF,
    0xE000,
    0xFFFF,
    0x10000,
    0x40000,
    0xFFFFF,
    0x100000,
    0x10FFFF,
]
LETTERS = [*map(chr, EDGES), *"aZé \n٣жK\u212a\u017f中\u2028😀"]
# Bytes that are valid only in some places of a character.
BYTES = b"a\x80\x8f\x90\x9f\xa0\xbf\xc0\xc2\xe0\xed\xef\xf0\xf4\xf5\xff"


@pytest.mark.parametrize(
    "expression",
    [
        ".",
        "(?s:.)",
        "é",
        r"[^a]",
        r"\w",
        r"(?a)\W",
        r"\s",
        r"(?i)[ks]",
        r"(?!é)[^a-z]",
        "[ж-\U0010ffff]",
        "a*",
    ],
)
def test_a_character_is_its_bytes(expression: str) -> None:
    constraint = compile_constraint("match", expression, SYMBOLS, frozenset(), of_bytes=True)
    rng, verdicts = random.Random(1), set()
    texts = [letter.encode() for letter in LETTERS]
    texts += [bytes(rng.choices(BYTES, k=rng.randint(1, 4))) for _ in range(300)]
    for text in texts:
        try:
            expected = bool(re.fullmatch(expression, text.decode()))
        except UnicodeDecodeError:
            expected = False
        assert matches(constraint, text) == expected, text
        verdicts.add(expected)
    assert verdicts == {True, False}
    for _ in range(50):
        assert re.fullmatch(expression, bytes(random_tokens(constraint, rng)).decode())


def test_choices_are_written_in_bytes() -> None:
    constraint = compile_constraint("choices", ("é", "語a"), SYMBOLS, frozenset(), of_bytes=True)
    drawn = {bytes(random_tokens(constraint, random.Random(seed))).decode() for seed in range(50)}
    assert drawn == {"é", "語a"}


def test_many_classes_of_bytes_are_refused() -> None:
    classes = "".join(f"[a{chr(code)}]" for code in range(0x4E00, 0x4E00 + 1000))
    with pytest.raises(ConstraintError, match="it is too complex"):
        compile_constraint("match", classes, SYMBOLS, frozenset(), of_bytes=True)
