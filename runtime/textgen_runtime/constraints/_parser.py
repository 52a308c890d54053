"""The parser of expressions. Their syntax is that of Python's ``re``, without what finite automata cannot do.

The parser finds the structure: groups, alternatives, repetitions and anchors. The rest of an expression is
atoms, which match one character each. ``re`` itself interprets them, see ``Atom.pattern``. Therefore every
class and every escape matches the same characters as in Python.
"""

import re
from typing import Final, NamedTuple, TypeAlias

from textgen_runtime.errors import ConstraintError, quote, shorten


class Atom(NamedTuple):
    """One character: a literal, an escape, a class or a dot.

    Attributes:
        text: An expression of ``re`` that matches one character.
        flags: The flags of ``re`` that apply to it.
        span: Where it begins and ends in the whole expression.
    """

    text: str
    flags: int
    span: tuple[int, int]

    def pattern(self) -> re.Pattern[str]:
        """Compile the atom. Raises ``re.error`` if it is not valid."""
        return re.compile(self.text, self.flags)

    def matched(self, alphabet: str) -> list[str]:
        """Return the characters of an alphabet that the atom matches."""
        if len(self.text) == 1 and self.text != "." and not self.flags & re.IGNORECASE:
            return [self.text] if self.text in alphabet else []
        return self.pattern().findall(alphabet)


class Anchor(NamedTuple):
    """The start or the end of the text, and where the anchor begins and ends in the whole expression."""

    at_start: bool
    span: tuple[int, int]


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
MAX_DEPTH: Final = 100
# Longer numbers exceed every other limit.
MAX_DIGITS: Final = 9

CLASS: Final = r"\[\^?+\]?+(?:\\.|[^\]\\])*\]"
ESCAPE: Final = (
    r"\\(?:x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|N\{[^}]*\}|[0-7]{3}|0[0-7]?|[1-9][0-9]?|.)"
)
ATOM: Final = re.compile(rf"{CLASS}|{ESCAPE}|[^\\\[()|*+?^$]", re.DOTALL)
# Characters that the next atom must not be: class subtraction.
EXCEPT: Final = re.compile(rf"(?:\(\?!(?:{ATOM.pattern})\))+", re.DOTALL)
EXCEPTED: Final = re.compile(rf"\(\?!({ATOM.pattern})\)", re.DOTALL)
# What ``re`` warns of, because later versions may read it as a nested set or a set operation.
SET_OPERATION: Final = re.compile(r"^\[\^?\[|--|&&|~~|\|\|")
QUANTIFIER: Final = re.compile(r"[*+?]|\{(?:([0-9]+)|([0-9]*)(,)([0-9]*))\}")
GLOBAL_FLAGS: Final = re.compile(r"\(\?([a-zA-Z]+)\)")
GROUP: Final = re.compile(r"\((?:\?(?:P<([^\W\d]\w*)>|([a-zA-Z]*)(?:-([a-zA-Z]+))?:)|(?!\?))")

FLAGS: Final = {"i": re.IGNORECASE, "s": re.DOTALL, "a": re.ASCII, "u": 0}
REWRITE: Final = "write the expression without it"
UNSUPPORTED: Final = {
    "(?=": "lookahead",
    "(?!": "lookahead, except of one character directly before a character, such as (?![aeiou])[a-z],",
    "(?<=": "lookbehind",
    "(?<!": "lookbehind",
    "(?>": "an atomic group",
    "(?#": "a comment",
    "(?(": "a condition",
    "(?P=": "a backreference",
}


class TooDeepError(ConstraintError):
    """The groups of an expression are nested too deeply."""


def parse(expression: str, *, global_flags: bool = True) -> Node:
    """Parse an expression.

    Args:
        expression: An expression in the syntax of Python's ``re``.
        global_flags: Whether it may begin with flags such as ``(?i)``.

    Raises:
        ConstraintError: If the expression is malformed, too long or too deeply nested, or if it uses
            lookaround, backreferences, word boundaries or possessive repetition.
    """
    if len(expression) > MAX_LENGTH:
        raise ConstraintError(
            f"the expression has {len(expression):,} characters, and at most {MAX_LENGTH:,} are possible: "
            "shorten it"
        )
    return _Parser(expression, global_flags).parse()


class _Parser:
    """A parser by recursive descent. ``flags`` are the flags that apply at the current character."""

    def __init__(self, expression: str, global_flags: bool) -> None:
        self.expression = expression
        self.global_flags = global_flags
        self.index = 0
        self.depth = 0
        self.names: set[str] = set()

    def parse(self) -> Node:
        letters, flags = "", 0
        while self.global_flags and (found := GLOBAL_FLAGS.match(self.expression, self.index)):
            # Each letter once, so that the time does not grow with the square of the number of flags.
            letters = "".join(dict.fromkeys(letters + found[1]))
            flags = self._flags(letters)
            self.index = found.end()
        node = self._alternatives(flags)
        if self.index < len(self.expression):
            raise self._error("this ) closes no group; remove it, or write \\) for the character itself")
        return node

    def _error(self, reason: str, index: int | None = None) -> ConstraintError:
        place = (self.index if index is None else index) + 1
        return ConstraintError(f"the expression {quote(self.expression)}, at character {place:,}: {reason}")

    def _flags(self, letters: str) -> int:
        flags = 0
        for letter in letters:
            if letter not in FLAGS:
                raise self._error(f"the flag {letter} is not supported; use only i, s, a or u")
            flags |= FLAGS[letter]
        if "a" in letters and "u" in letters:
            raise self._error("the flags a and u exclude each other; omit one")
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
        character = self.expression[self.index]
        if character == "(":
            found = EXCEPT.match(self.expression, self.index)
            return self._excepting_atom(flags, found[0]) if found else self._group(flags)
        if character in "^$":
            return self._anchor(character, at_start=character == "^")
        if found := QUANTIFIER.match(self.expression, self.index):
            raise self._error(
                f"{found[0]} has nothing to repeat; write \\{character} for the character itself"
            )
        escaped = self.expression[self.index + 1 : self.index + 2] if character == "\\" else ""
        if escaped and escaped in "AZz":
            return self._anchor(character + escaped, at_start=escaped == "A")
        return self._atom(flags)

    def _anchor(self, text: str, *, at_start: bool) -> Anchor:
        start, self.index = self.index, self.index + len(text)
        return Anchor(at_start, (start, self.index))

    def _excepting_atom(self, flags: int, prefix: str) -> Atom:
        atom = self._atom(flags, prefix)
        if QUANTIFIER.match(self.expression, self.index):
            raise self._error("the character after (?!...) is repeated; put both in a group: (?:...)")
        return atom

    def _atom(self, flags: int, prefix: str = "") -> Atom:
        start, self.index = self.index, self.index + len(prefix)
        found = ATOM.match(self.expression, self.index)
        if found is None or (prefix and QUANTIFIER.match(self.expression, self.index)):
            raise self._error(self._why_no_atom(prefix))
        text = found[0]
        for excepted in EXCEPTED.finditer(prefix):
            self._check_atom(excepted[1], start + excepted.start(1))
        self._check_atom(text, self.index)
        self.index = found.end()
        literal = len(text) == 1 and text != "."
        atom = Atom(prefix + (re.escape(text) if literal else text), flags, (start, self.index))
        try:
            if prefix or not literal:
                atom.pattern()
        except re.error as error:
            raise self._error(f"{error.msg}; see the syntax of Python's re", start) from None
        return atom

    def _check_atom(self, text: str, index: int) -> None:
        """Refuse what ``re`` accepts, but a class or a single character cannot be."""
        if text[0] == "\\" and text[1] in "123456789bB" and len(text) < len("\\123"):
            what = "a word boundary" if text[1] in "bB" else "a backreference"
            raise self._error(f"{text} is {what}, which is not supported; {REWRITE}", index)
        # Outside (?!...), _part has read them.
        if text in {"\\A", "\\Z", "\\z"}:
            raise self._error(f"(?!...) supports only characters; remove the anchor {text}", index)
        if text[0] == "[" and SET_OPERATION.search(re.sub(r"\\.", "", text, flags=re.DOTALL)):
            raise self._error(
                f"{text} has [ or one of && -- ~~ || inside a class, which is not supported; write \\ before "
                "each of these characters",
                index,
            )

    def _why_no_atom(self, prefix: str) -> str:
        if prefix:
            return "no character follows (?!...); put a character or a class directly after it"
        if self.expression[self.index] == "[":
            return "this class has no closing ]; add it, or write \\[ for the character itself"
        return "no character follows this \\; add one, or write \\\\ for the character itself"

    def _group(self, flags: int) -> Node:
        start = self.index
        found = GROUP.match(self.expression, start)
        if found is None:
            raise self._error(self._unsupported())
        name, on, off = found[1], found[2] or "", found[3] or ""
        if name in self.names:
            raise self._error(f"an earlier group has the name {quote(name)}, too; rename one")
        if name:
            self.names.add(name)
        self._check_off(on, off)
        flags = (flags | self._flags(on)) & ~self._flags(off)
        if "u" in on:
            flags &= ~re.ASCII
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise TooDeepError(
                str(self._error(f"more than {MAX_DEPTH} groups are inside one another; use fewer"))
            )
        self.index = found.end()
        node = self._alternatives(flags)
        if not self.expression.startswith(")", self.index):
            raise self._error(
                "this group has no closing ); add it, or write \\( for the character itself", start
            )
        self.index += 1
        self.depth -= 1
        # A group of one character may be repeated like any other part; an anchor in a group, too.
        return Chain((node,)) if isinstance(node, Anchor) else node

    def _check_off(self, on: str, off: str) -> None:
        if both := set(on) & set(off):
            raise self._error(f"this group turns the flag {min(both)} both on and off; omit one")
        if kept := set("au") & set(off):
            letter = min(kept)
            other = "u" if letter == "a" else "a"
            raise self._error(f"the flag {letter} cannot be turned off; turn on {other}, which replaces it")

    def _unsupported(self) -> str:
        for prefix, what in UNSUPPORTED.items():
            if self.expression.startswith(prefix, self.index):
                return f"{what} is not supported; {REWRITE}"
        found = GLOBAL_FLAGS.match(self.expression, self.index)
        if found:
            self._flags(found[1])
            if self.global_flags:
                return f"move {found[0]} to the start, or put a part of the expression in (?{found[1]}:...)"
            return f"{found[0]} is not supported; put a part of the expression in (?{found[1]}:...)"
        return "this kind of group is unknown; write (?:...) or (?P<name>...)"

    def _repeated(self, part: Node) -> Node:
        found = QUANTIFIER.match(self.expression, self.index)
        if found is None:
            return part
        if isinstance(part, Anchor):
            raise self._error(f"an anchor cannot be repeated; remove {found[0]}")
        least, most = self._bounds(found)
        self.index = found.end()
        if self.expression.startswith("+", self.index):
            raise self._error(f"the possessive repetition {found[0]}+ is not supported; remove the last +")
        # Lazy repetition prefers a shorter match, but matches the same texts.
        self.index += self.expression.startswith("?", self.index)
        if QUANTIFIER.match(self.expression, self.index):
            raise self._error("a repetition follows a repetition; put the first in a group: (?:...)")
        return Repeat(part, least, most)

    def _bounds(self, found: re.Match[str]) -> tuple[int, int | None]:
        if found[0] in "*+?":
            return int(found[0] == "+"), 1 if found[0] == "?" else None
        exact, least, comma, most = found.groups()
        if max(map(len, (exact or "", least or "", most or ""))) > MAX_DIGITS:
            raise self._error(
                f"{shorten(found[0])} has a number of more than {MAX_DIGITS} digits; use a smaller one"
            )
        if not comma:
            return int(exact), int(exact)
        bounds = int(least or 0), int(most) if most else None
        if bounds[1] is not None and bounds[1] < bounds[0]:
            raise self._error(f"in {found[0]}, the smaller number must come first")
        return bounds
