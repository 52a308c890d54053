"""Compiled expressions against Python's ``re``, and their tables."""

import itertools
import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textgen_runtime._core import Constraint
from textgen_runtime.constraints import compile_constraint
from textgen_runtime.errors import ConstraintError

from tests.helpers.constraint_texts import decode, distances, matches, random_tokens, table_of


def compile_regex(expression: str, symbols: str | list[str], excluded: tuple[int, ...] = ()) -> Constraint:
    return compile_constraint("match", expression, tuple(symbols), frozenset(excluded))


# Letters of several scripts, digits of two, a character outside the basic plane, spaces and punctuation.
SYMBOLS = [*'\n -+.,:@_"\\[]{}^$*|0123456789٣abcdefghijklmnopqrstuvwxyzABCXYZäßéΩж語😀', ""]

EXPRESSIONS = {
    "number": r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?",
    "date": r"[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])",
    "name": r"[A-Z][a-z]+( [A-Z][a-z]+){1,2}",
    "e-mail": r"[a-z0-9._-]+@[a-z0-9-]+(\.[a-z]{2,})+",
    "sentence": r"[A-Z][^.]*\.",
    "alternatives with common beginnings": r"a|ab|abc|bc|b",
    "empty alternative": r"(a|b|)c|",
    "repetition of a repetition": r"(?:a{1,2}b?){2,3}",
    "repetition of what may be empty": r"(?:a?b*){2,}c{0}",
    "lazy repetition": r"a+?b*?c??a{1,2}?",
    "ambiguous repetition": r"(a|b)*a(a|b){3}",
    "repetition without end": r"(?:[ab]{2,})*c{,2}",
    "not a repetition": r"a{|{a|{}|{,a}|b}",
    "dot": r".{2}\n?.",
    "dot and line end": r"(?s).a.",
    "dot in a group with flags": r"(?s:.)b(?-s:.)",
    "classes": r"[]a-c^-]+[^]a-c]{1,2}[\d\-]",
    "negated class": r"[^\W\d_]+[^\s]",
    "escapes of classes": r"\d+\s\w\D\S\W",
    "ranges to and from signs": r"[\--.][+\-]",
    "ASCII classes": r"(?a)\w\d|\w\W",
    "classes in groups with flags": r"(?a:\w)\w|(?a:\w(?u:[^\W\x00-\x7f]))",
    "Unicode in a group of ASCII": r"(?a:(?u:[^\W\x00-\x7f])[a\w])",
    "case not ignored in a group": r"(?i)A(?-i:B|Z)",
    "escapes of characters": r"\.\*\x61\u00e4\U0001F600\101\n\\|\N{GREEK CAPITAL LETTER OMEGA}",
    "other scripts": r"[ж-щΩ]?ж+語[😀-😇]",
    "ignored case": r"(?i)aBc[x-z]ß?Ä",
    "case ignored in a group": r"(?i:a|b)A[x](?-i:Z)",
    "named group": r"(?P<year>\d\d)-(?P<rest>a|b)",
    "excluded characters": r"((?![aeiou])[a-f])+(?!\.)(?!,)[.,:](?:(?!\d).)?",
    "anchors": r"^(a$|^b\Z|\Ac)$|^$",
    "anchors that hold nowhere": r"a(^b|c)|(b$)?a|$^",
    "repeated anchors in groups": r"(?:^)*a(?:$)?",
    "empty": "",
    "empty groups": r"(()|(?:)){3}",
}
EXPRESSION = pytest.mark.parametrize("expression", EXPRESSIONS.values(), ids=EXPRESSIONS)


def mutated(text: str, rng: random.Random) -> str:
    """Return a text in which one or two characters are replaced, removed or inserted."""
    for _ in range(rng.randint(1, 2)):
        place = rng.randint(0, len(text))
        kept = rng.randint(0, 1)
        text = text[:place] + rng.choice(SYMBOLS) + text[place + kept :]
    return text


def tokens_of(text: str) -> list[int]:
    return [SYMBOLS.index(character) for character in text]


@EXPRESSION
def test_a_table_accepts_exactly_the_texts_that_re_accepts(expression: str) -> None:
    constraint, rng = compile_regex(expression, SYMBOLS), random.Random(2)
    shortest = int(distances(constraint)[0])
    verdicts = set()
    for length in range(100):
        tokens = random_tokens(constraint, rng, max(shortest, length))
        text = decode(SYMBOLS, tokens)
        assert re.fullmatch(expression, text)
        assert len(tokens) <= max(shortest, length)
        for changed in (mutated(text, rng), mutated(text, rng)):
            verdict = matches(constraint, tokens_of(changed))
            assert verdict == bool(re.fullmatch(expression, changed)), repr(changed)
            verdicts.add(verdict)
    assert False in verdicts


ATOMS = st.sampled_from(["a", "b", "c", ".", "[ab]", "[^a]", r"\w", r"(?!a)[a-c]", "", "^", "$"])


def combined(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    repetitions = st.sampled_from(["*", "+", "?", "{2}", "{1,3}", "{2,}", "{,2}", "{0}", "*?", "{1,2}?"])
    return (
        st.tuples(inner, inner).map("".join)
        | st.tuples(inner, inner).map(lambda options: f"(?:{options[0]}|{options[1]})")
        | st.tuples(inner, repetitions).map(lambda parts: f"(?:{parts[0]}){parts[1]}")
    )


ALL_SHORT = ["".join(text) for length in range(6) for text in itertools.product("abc", repeat=length)]


@given(st.recursive(ATOMS, combined, max_leaves=12))
def test_a_table_agrees_with_re_on_random_expressions(expression: str) -> None:
    expected = {text for text in ALL_SHORT if re.fullmatch(expression, text)}
    try:
        constraint = compile_regex(expression, "abc")
    except ConstraintError as error:
        assert "no text of the vocabulary matches" in str(error)  # noqa: PT017 (either is right)
        assert expected == set()
        return
    assert {text for text in ALL_SHORT if matches(constraint, map("abc".index, text))} == expected


@EXPRESSION
def test_states_are_in_the_order_of_a_breadth_first_search_and_can_reach_the_end(expression: str) -> None:
    constraint = compile_regex(expression, SYMBOLS)
    assert max(distances(constraint)) < len(constraint.accepting)
    found = dict.fromkeys([0, *itertools.chain(*table_of(constraint))])
    found.pop(-1, None)
    assert list(found) == list(range(len(constraint.accepting)))


def test_the_table_of_an_expression_never_changes() -> None:
    """A saved generation stores a state and a hash of the table."""
    constraint = compile_regex("a(b|c)*|(ab|b)c", ["c", "", "b", "a", "d"])
    assert table_of(constraint) == [
        [-1, -1, 1, 2, -1],
        [3, -1, -1, -1, -1],
        [2, -1, 2, -1, -1],
        [-1, -1, -1, -1, -1],
    ]
    assert list(constraint.accepting) == [0, 0, 1, 1]


def test_expressions_that_match_the_same_texts_have_the_same_table() -> None:
    for expressions in [
        ("(ab|ac)d?", "a(b|c)d?", "ab|ac|acd|abd", "a[bc](|d)"),
        ("[ab]*", "(a|b)*", "(a*b*)*", "[ab]*[ab]?[ab]?[ab]*", "(?:|a|b)+", "([ab]*)"),
        ("a{3,5}", "aaaa?a?", "a{3}|a{4}|a{5}", "a(aa(a(a)?)?)"),
        # Without "x" in the vocabulary, what follows "b" cannot be finished.
        ("a[ab]*", "a[ab]*|b[ab]{5}x"),
    ]:
        tables = [compile_regex(expression, "abcd") for expression in expressions]
        assert len({(table.transitions, table.accepting) for table in tables}) == 1, expressions


def test_a_token_reads_its_whole_symbol() -> None:
    symbols = ["a", "ab", "abc", "", "c", "ba"]
    constraint = compile_regex("(abc|ab)*c?", symbols)
    for length in range(5):
        for tokens in itertools.product(range(len(symbols)), repeat=length):
            text = decode(symbols, tokens)
            # The symbol without text is never allowed.
            expected = "" not in [symbols[token] for token in tokens] and re.fullmatch("(abc|ab)*c?", text)
            assert matches(constraint, tokens) == bool(expected), tokens
    # No symbol continues "a" to "ab".
    assert table_of(constraint)[0][symbols.index("a")] < 0


def test_excluded_tokens_are_never_allowed() -> None:
    constraint = compile_regex("[abc]+", "abc", excluded=(1,))
    assert [following >= 0 for following in table_of(constraint)[0]] == [True, False, True]
    with pytest.raises(ConstraintError, match="'b'"):
        compile_regex("b", "abc", excluded=(1,))


def test_the_latest_expressions_are_compiled_once() -> None:
    first = compile_regex("[ab]{3}", list("abc"))
    assert compile_regex("[ab]{3}", "abc") is first
    assert compile_regex("[ab]{3}", "abcd") is not first
    assert compile_regex("[ab]{3}", "abc", excluded=(2,)) is not first


def accepts_re(expression: str) -> bool:
    try:
        re.compile(expression)
    except re.error:
        return False
    return True


def test_a_group_turns_flags_on_and_off_where_re_does() -> None:
    letters = ["".join(chosen) for length in range(3) for chosen in itertools.product("isau", repeat=length)]
    for on, off in itertools.product(letters, repeat=2):
        expression = f"(?{on}{'-' if off else ''}{off}:a)"
        try:
            accepted = len(compile_regex(expression, "aA").accepting) > 0
        except ConstraintError:
            accepted = False
        assert accepted == accepts_re(expression), expression


# What ``re`` refuses, too, and what only finite automata cannot do. The place is that of the culprit.
REFUSED = {
    1: r"(?!a)\Z (?![[a])b [[:alpha:]] [a--b] \bword (?>a) (?#n) [] *a \x4 \777 \N{none} [z-a] "
    r"(?P<1n>a) (?-i)a (?i-:a) (?m:a) (?=a)b (?!ab)c (?!a)(b) (?!a)\w* (?!a){2}",
    2: r"a(b a)b a{3,2} a{99999999999} a\q a(?i)b b(?-a:a) ^* a(?!c)(?!\b)b a(?<=a) a(?<!b) x[a-z&&[b]]",
    3: r"ab[c a|{2} a*{2} a++ ab\ ab\b ab(?P=n)",
    4: r"(a)\1 (a)(?(1)b)",
    5: "(?x)a (?m)a",
    9: "(?a)(?u)a",
}


@pytest.mark.parametrize(
    ("expression", "place"),
    [(expression, place) for place, listed in REFUSED.items() for expression in listed.split()],
)
def test_what_is_wrong_with_an_expression_is_refused_at_its_place(expression: str, place: int) -> None:
    with pytest.raises(ConstraintError) as caught:
        compile_regex(expression, SYMBOLS)
    message = str(caught.value)
    assert message.startswith("the expression '")
    assert f"': at character {place}: " in message
    assert "\n" not in message
    assert len(message) < 200


@pytest.mark.parametrize(
    ("expression", "culprits"),
    [
        ("[G-K]é|ÄÖ?", "'[G-K]', 'é', 'Ä', 'Ö'"),
        ("aÑ+[abÑ]", "'Ñ'"),
        ("[中-亿]文字和语言", "'[中-亿]', '文', '字', '和', '语'"),
        ("a^b", ""),
    ],
)
def test_an_expression_that_no_text_matches_is_refused(expression: str, culprits: str) -> None:
    with pytest.raises(ConstraintError, match="no text") as caught:
        compile_regex(expression, "abc")
    assert str(caught.value).endswith(culprits)
    with pytest.raises(ConstraintError, match="no text"):
        compile_regex("aab", ["a", "ba", "bb"][1:])


@pytest.mark.parametrize(
    "expression",
    [
        "(a|b)*a(a|b){20}",
        ".{1,30000}",
        "((a{1,100}){1,100}){1,100}",
        "(" * 90 + "a" + "){1,2}" * 90,
        "(a|b)" * 6000,
        "(a{0,100}){0,100}",
        r"(\w+\s?){1,300}",
        "((((a?){9}){9}){9}){9}",
        "((a?){70}){70}",
        "(" * 90 + "a{0,9000}" + ")*" * 90,
        "(" + "()" * 9000 + "a){1,9000}",
        "(" * 1000 + ")" * 1000,
        "a" * 100_001,
    ],
    ids=range(13),
)
def test_an_expression_that_explodes_is_refused(expression: str) -> None:
    with pytest.raises(ConstraintError):
        compile_regex(expression, SYMBOLS)


def test_the_longest_expressions_are_compiled() -> None:
    assert len(compile_regex("a" * 9999, "ab").accepting) == 10_000
    assert len(compile_regex("((){9999}){9999}", "ab").accepting) == 1
    assert len(compile_regex("(" * 100 + "a" + ")" * 100, "ab").accepting) == 2


def test_a_table_that_is_too_large_is_refused() -> None:
    symbols = [chr(code) for code in range(0x4E00, 0x4E00 + 5000)]
    with pytest.raises(ConstraintError, match="complex"):
        compile_regex(f"[^x]{{5000}}|{''.join(symbols[:500])}", symbols)
    with pytest.raises(ConstraintError, match="16 MiB"):
        compile_regex(".{0,2000}", symbols)


def test_long_tokens_make_an_expression_explode_no_later_than_short_ones() -> None:
    rng = random.Random(1)
    words = ["".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=rng.randint(1, 14))) for _ in range(3000)]
    with pytest.raises(ConstraintError, match="complex"):
        compile_regex("(?:abcdefghijklmnopqrstuvwxyz)?[a-z]{1,1000}", words)
    assert len(compile_regex("[a-z]{1,1000}", words).accepting) == 1001
