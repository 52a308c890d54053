"""Expressions for JSON values, without whitespace: those of each type, and the strings of a pattern.

The syntax of a pattern of a JSON schema is that of ``match``, but its characters are those of ECMA-262, the
dialect of JSON Schema: a digit is one of ASCII.
"""

import re
from collections.abc import Iterator
from typing import Final

from textgen_runtime.errors import ConstraintError, quote

from ._parser import CLASS, Alternatives, Anchor, Atom, Chain, Node, Repeat, parse

# RFC 8259. A character of a string, except \u escapes, which could be half of a surrogate pair.
CHARACTER: Final = r'(?:[^"\\\x00-\x1f]|\\["\\/bfnrt])'
STRING: Final = f'"{CHARACTER}*"'
INTEGER: Final = "-?(?:0|[1-9][0-9]*)"
SCALARS: Final = {
    "string": STRING,
    "integer": INTEGER,
    "number": INTEGER + r"(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?",
    "boolean": "(?:true|false)",
    "null": "null",
}

_DATE: Final = "[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
_HOUR_AND_MINUTE: Final = "(?:[01][0-9]|2[0-3]):[0-5][0-9]"
_TIME: Final = rf"{_HOUR_AND_MINUTE}:[0-5][0-9](?:\.[0-9]+)?(?:Z|[+-]{_HOUR_AND_MINUTE})"
_LABEL: Final = "[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?"
_NAME: Final = "[a-zA-Z0-9!#$%&'*+/=?^_`{|}~-]+"
# Strict subsets of what the standards allow: RFC 3339 (without leap seconds), 9562, 5321 and 3986.
FORMATS: Final = {
    "date": _DATE,
    "time": _TIME,
    "date-time": f"{_DATE}T{_TIME}",
    "uuid": "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
    "email": rf"{_NAME}(?:\.{_NAME})*@{_LABEL}(?:\.{_LABEL})+",
    "uri": r"[a-zA-Z][a-zA-Z0-9+.\-]*:(?:[a-zA-Z0-9\-._~:/?@!$&'()*+,;=]|%[0-9A-F]{2})+"
    r"(?:#(?:[a-zA-Z0-9\-._~:/?@!$&'()*+,;=]|%[0-9A-F]{2})*)?",
}

# Characters that a string of JSON has to escape.
NOT_ESCAPED: Final = r'(?!["\\\x00-\x1f])'
# Whitespace and line ends in ECMA-262, and all other characters, as the ranges of a class.
SPACES: Final = {
    r"\s": r" \t-\r\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff",
    r"\S": r"\x00-\x08\x0e-\x1f!-\x9f\xa1-\u167f\u1681-\u1fff\u200b-\u2027\u202a-\u202e\u2030-\u205e"
    r"\u2060-\u2fff\u3001-\ufefe\uff00-\U0010ffff",
}
# In ECMA-262, those of ASCII and all others.
ASCII: Final = frozenset({r"\d", r"\D", r"\w", r"\W"})
# What a dot matches in ECMA-262.
NO_LINE_END: Final = r"[^\n\r\u2028\u2029]"

ESCAPED: Final = re.compile(r"\\.", re.DOTALL)
CLASS_ESCAPE_OR_DOT: Final = re.compile(rf"{CLASS}|\\.|\.", re.DOTALL)
GROUP_NAME: Final = re.compile(rf"({CLASS}|\\.)|\(\?P<\w+>", re.DOTALL)


def counted(least: int, most: int | None) -> str:
    """Return a repetition, such as ``{2,}``."""
    return f"{{{least},{'' if most is None else most}}}"


def listed(item: str, least: int, most: int | None) -> str:
    """Return an expression for items with commas between them."""
    if most == 0:
        return ""
    several = f"{item}(?:,{item}){counted(max(least - 1, 0), None if most is None else most - 1)}"
    return several if least else f"(?:{several})?"


def string_of_pattern(pattern: str, written: dict[str, str]) -> str:
    """Return an expression for the strings whose content matches a pattern as a whole, without escapes.

    Args:
        pattern: The pattern.
        written: Receives each atom of the expression, with its text in the pattern.

    Raises:
        ConstraintError: If the pattern is malformed, or has an anchor that is neither ``^`` at its start nor
            ``$`` at its end. The message quotes the pattern.
    """
    translated, end = "", 0
    for part in _leaves(parse(pattern, global_flags=False)):
        (start, stop), text = part.span, pattern[slice(*part.span)]
        translated += pattern[end:start]
        end = stop
        if isinstance(part, Atom):
            flag, atom = _translated(text, part.flags)
            written.setdefault(atom, text)
            translated += f"(?{flag}:{atom})"
        elif (text, start) != ("^", 0) and (text, end) != ("$", len(pattern)):
            raise ConstraintError(
                f"the expression {quote(pattern)}, at character {start + 1:,}: an anchor is supported only "
                "as ^ at the start and $ at the end; remove it"
            )
    translated += pattern[end:]
    # The expression of a schema may contain a pattern several times, but the name of a group only once.
    unnamed = GROUP_NAME.sub(lambda found: found[1] or "(?:", translated)
    return f'"(?:{unnamed})"'


def _leaves(node: Node) -> Iterator[Atom | Anchor]:
    """Yield the atoms and anchors of a tree in the order of the expression."""
    match node:
        case Atom() | Anchor():
            yield node
        case Repeat(body):
            yield from _leaves(body)
        case Chain(parts) | Alternatives(parts):
            for part in parts:
                yield from _leaves(part)


def _translated(atom: str, flags: int) -> tuple[str, str]:
    """Return a flag and, for a group with it, an atom for the characters of an atom that need no escape."""

    def translate(found: re.Match[str]) -> str:
        if found[0] == ".":
            return "." if flags & re.DOTALL else NO_LINE_END
        text = ESCAPED.sub(lambda escape: SPACES.get(escape[0], escape[0]), found[0])
        return f"[{text}]" if found[0] in SPACES else text

    # In classes with these, letters outside ASCII then keep their case.
    flag = "" if ASCII.isdisjoint(ESCAPED.findall(atom)) else "a"
    return flag, NOT_ESCAPED + CLASS_ESCAPE_OR_DOT.sub(translate, atom)
