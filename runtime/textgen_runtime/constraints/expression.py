"""The parser of expressions. Their syntax is that of Python's ``re``, without what finite automata cannot do.

The parser finds the structure: groups, alternatives, repetitions and anchors. The rest of an expression is
atoms, which match one character each. ``re`` itself interprets them, so that every class and every escape
matches the same characters as in Python.
"""

import re
from collections.abc import Callable
from functools import cache, lru_cache
from typing import Final, NamedTuple, TypeAlias

from textgen_runtime.errors import ConstraintError


class Atom(NamedTuple):
    """One character: a literal, an escape, a class or a dot.

    Attributes:
        text: The character itself if it is one and no dot. Otherwise an expression of ``re``.
        flags: The flags of ``re`` that apply to it.
        barred: Characters that it does not match, as negative lookahead.
    """

    text: str
    flags: int = 0
    barred: str = ""

    def is_plain(self) -> bool:
        """Whether the text is the only character that the atom matches."""
        return self._is_literal() and not self.barred and not self.flags & re.IGNORECASE

    def pattern(self) -> str:
        return self.barred + (re.escape(self.text) if self._is_literal() else self.text)

    def _is_literal(self) -> bool:
        return len(self.text) == 1 and self.text != "."

    def matched(self, alphabet: str) -> list[str]:
        """Return the characters of an alphabet that the atom matches."""
        if self.is_plain():
            return [self.text] if self.text in alphabet else []
        return re.findall(self.pattern(), alphabet, self.flags)


class Anchor(NamedTuple):
    """The start or the end of the text."""

    at_start: bool


class Chain(NamedTuple):
    """Parts that follow one another; without parts, the empty text."""

    parts: "tuple[Node, ...]"


class Alternatives(NamedTuple):
    """Options, of which one must match."""

    options: "tuple[Node, ...]"


class Repeat(NamedTuple):
    """A part that occurs from ``least`` to ``most`` times; ``most`` is None if there is no limit."""

    body: "Node"
    least: int
    most: int | None


Node: TypeAlias = Atom | Anchor | Chain | Alternatives | Repeat

MAX_LENGTH: Final = 100_000

CLASS: Final = r"\[\^?+\]?+(?:\\.|[^\]\\])*\]"
ESCAPE: Final = (
    r"\\(?:x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|N\{[^}]*\}|[0-7]{3}|0[0-7]?|[1-9][0-9]?|.)"
)
CHARACTER: Final = rf"{CLASS}|{ESCAPE}|[^\\\[()|*+?^$]"
# Before a character, those that it must not be: class subtraction.
BARRED: Final = re.compile(rf"\(\?!({CHARACTER})\)", re.DOTALL)
ATOM: Final = re.compile(rf"((?:\(\?!(?:{CHARACTER})\))*)({CHARACTER})", re.DOTALL)
# Backreferences, word boundaries and anchors, where a character must be.
NO_CHARACTER: Final = re.compile(r"\\(?:[1-9][0-9]?|[bBAZz])")
# What ``re`` warns of, because later versions may read it as a nested set or a set operation.
SET_OPERATION: Final = re.compile(r"^\[\^?\[|--|&&|~~|\|\|")
QUANTIFIER: Final = re.compile(r"[*+?]|\{(?:[0-9]+|([0-9]*),([0-9]*))\}")
ANCHOR: Final = re.compile(r"(\^|\\A)|\$|\\[Zz]")
GLOBAL_FLAGS: Final = re.compile(r"\(\?([a-zA-Z]+)\)")
GROUP: Final = re.compile(r"\((?:\?(?:P<[^\W\d]\w*>|([a-zA-Z]*)(?:-([a-zA-Z]+))?:)|(?!\?))")
FLAGS: Final = {"i": re.IGNORECASE, "s": re.DOTALL, "a": re.ASCII, "u": 0}


def parse(expression: str, flags: int = 0) -> Node:
    """Parse an expression with some flags of ``re``.

    Raises:
        ConstraintError: If the expression is malformed or too long, or if it uses lookaround, backreferences,
            word boundaries or possessive repetition.
        RecursionError: If it is nested too deeply.
    """
    if len(expression) > MAX_LENGTH:
        raise ConstraintError(f"it has more than {MAX_LENGTH:,} characters")
    return _Parser(expression).parse(flags)


class _Parser:
    """A parser by recursive descent. ``flags`` are the flags that apply at the current character."""

    def __init__(self, expression: str) -> None:
        self.expression = expression
        self.index = 0

    def parse(self, flags: int) -> Node:
        letters = ""
        while found := GLOBAL_FLAGS.match(self.expression, self.index):
            letters += found[1]
            self.index = found.end()
        node = self._alternatives(self._changed(flags, letters) if letters else flags)
        if self.index < len(self.expression):
            raise self._error("this ) closes no group")
        return node

    def _error(self, reason: str) -> ConstraintError:
        return ConstraintError(f"at character {self.index + 1:,}: {reason}")

    def _check(self, expression: str, flags: int = 0) -> None:
        """Refuse what ``re`` refuses."""
        try:
            re.compile(expression, flags)
        except (re.error, OverflowError, ValueError) as error:
            raise self._error(error.msg if isinstance(error, re.error) else str(error)) from None

    def _changed(self, flags: int, on: str, off: str = "") -> int:
        if not set(on + off) <= FLAGS.keys():
            raise self._error(f"flags other than {', '.join(FLAGS)} are not supported")
        self._check(f"(?{on}{'-' if off else ''}{off}:)")
        for letter in on:
            flags |= FLAGS[letter]
        for letter in off + ("a" if "u" in on else ""):
            flags &= ~FLAGS[letter]
        return flags

    def _alternatives(self, flags: int) -> Node:
        options = [self._chain(flags)]
        while self.expression.startswith("|", self.index):
            self.index += 1
            options.append(self._chain(flags))
        return options[0] if len(options) == 1 else Alternatives(tuple(options))

    def _chain(self, flags: int) -> Node:
        parts = []
        while self.index < len(self.expression) and self.expression[self.index] not in "|)":
            parts.append(self._repeated(self._part(flags)))
        return parts[0] if len(parts) == 1 else Chain(tuple(parts))

    def _part(self, flags: int) -> Node:
        if anchor := ANCHOR.match(self.expression, self.index):
            self.index = anchor.end()
            return Anchor(at_start=bool(anchor[1]))
        if self.expression[self.index] == "(" and not BARRED.match(self.expression, self.index):
            return self._group(flags)
        return self._atom(flags)

    def _group(self, flags: int) -> Node:
        found = GROUP.match(self.expression, self.index)
        if found is None:
            raise self._error(f"{self.expression[self.index : self.index + 3]} is not supported here")
        if found[1] or found[2]:
            flags = self._changed(flags, found[1], found[2] or "")
        start, self.index = self.index, found.end()
        node = self._alternatives(flags)
        if not self.expression.startswith(")", self.index):
            self.index = start
            raise self._error("this group has no end")
        self.index += 1
        # A group may be repeated, also if it is one anchor.
        return Chain((node,)) if isinstance(node, Anchor) else node

    def _atom(self, flags: int) -> Atom:
        found = ATOM.match(self.expression, self.index)
        if found is None or QUANTIFIER.match(self.expression, found.start(2)):
            raise self._error("a character, class or group is missing or incomplete")
        barred, text = found.groups()
        for each in (*BARRED.findall(barred), text):
            is_set = each[0] == "["
            if NO_CHARACTER.fullmatch(each):
                raise self._error(f"{each} is not supported here")
            if is_set and SET_OPERATION.search(re.sub(r"\\.", "", each, flags=re.DOTALL)):
                raise self._error("in a class, write \\ before each of [ & - ~ | that stands for itself")
        if barred and QUANTIFIER.match(self.expression, found.end()):
            raise self._error("(?!...) and a repeated character must be in a group")
        atom = Atom(text, flags, barred)
        if not atom.is_plain():
            self._check(atom.pattern(), flags)
        self.index = found.end()
        return atom

    def _repeated(self, part: Node) -> Node:
        found = QUANTIFIER.match(self.expression, self.index)
        if found is None:
            return part
        if isinstance(part, Anchor):
            raise self._error("an anchor cannot be repeated")
        self._check(f"a{found[0]}")
        self.index = found.end()
        # Lazy repetition prefers a shorter match, but matches the same texts.
        self.index += self.expression.startswith("?", self.index)
        if QUANTIFIER.match(self.expression, self.index):
            raise self._error("a repetition cannot be repeated, except in a group")
        if found[0] in "*+?":
            return Repeat(part, int(found[0] == "+"), 1 if found[0] == "?" else None)
        if found[2] is None:
            return Repeat(part, int(found[0][1:-1]), int(found[0][1:-1]))
        return Repeat(part, int(found[1] or 0), int(found[2]) if found[2] else None)


def replace_leaves(node: Node, replacement: Callable[[Atom | Anchor], Node]) -> Node:
    """Return a tree in which each atom and anchor is replaced."""
    match node:
        case Atom() | Anchor():
            return replacement(node)
        case Repeat():
            return node._replace(body=replace_leaves(node.body, replacement))
        case Chain(parts) | Alternatives(parts):
            return type(node)(tuple([replace_leaves(part, replacement) for part in parts]))


# The characters that UTF-8 writes with one to four bytes: their limits without surrogates, how many bytes
# follow the first one, and the first byte of U+0000.
UTF_8: Final = [
    *((0, 0x80, 0, 0), (0x80, 0x800, 1, 0xC0), (0x800, 0xD800, 2, 0xE0)),
    *((0xE000, 0x10000, 2, 0xE0), (0x10000, 0x110000, 3, 0xF0)),
]
CONTINUATION: Final = 0x80
# In microseconds.
SCAN_TIME: Final = 20_000

Ranges: TypeAlias = tuple[tuple[int, int], ...]


def in_bytes(node: Node, spend: Callable[[int], None]) -> Node:
    """Return a tree whose characters are the bytes of UTF-8. ``spend`` counts the work."""

    @cache
    def of_bytes(leaf: Atom | Anchor) -> Node:
        if isinstance(leaf, Anchor):
            return leaf
        if leaf.is_plain():
            return Chain(tuple([Atom(chr(byte)) for byte in leaf.text.encode("utf-8", "surrogatepass")]))
        spend(SCAN_TIME)
        ranges = _ranges(leaf)
        options = []
        for low, high, following, first in UTF_8:
            clipped = tuple([(max(a, low), min(b, high)) for a, b in ranges if a < high and b > low])
            options.append(_bytes_of(clipped, following, first))
        return Alternatives(tuple(options))

    return replace_leaves(node, of_bytes)


@lru_cache(maxsize=256)
def _ranges(atom: Atom) -> Ranges:
    """Return the characters of Unicode that an atom matches, as half-open ranges of code points."""
    found = re.finditer(f"(?:{atom.pattern()})+", _all_characters(), atom.flags)
    return tuple([match.span() for match in found])


@cache
def _all_characters() -> str:
    return "".join(map(chr, range(0x110000)))


def _bytes_of(ranges: Ranges, following: int, first: int) -> Node:
    """Return the bytes of characters: one first byte, and some that follow. ``first`` is that of U+0000."""
    size = 64**following
    blocks: dict[int, Ranges] = {}
    for a, b in ranges:
        for block in range(a // size, (b - 1) // size + 1):
            start = block * size
            blocks[block] = (*blocks.get(block, ()), (max(a - start, 0), min(b - start, size)))
    # First bytes that the same bytes follow are one class.
    firsts: dict[Ranges, str] = {}
    for block, rest in blocks.items():
        firsts[rest] = firsts.get(rest, "") + chr(first + block)
    options = []
    for rest, characters in firsts.items():
        atom = Atom(f"[{re.escape(characters)}]")
        options.append(Chain((atom, _bytes_of(rest, following - 1, CONTINUATION))) if following else atom)
    return Alternatives(tuple(options))
