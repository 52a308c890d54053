"""``Tokenizer``: text to tokens and back, by the vocabulary of a model in the C core; and names of tokens.

The level of a tokenizer, such as "character", is its kind of token. A model file stores it as
``textgen.level``. To add a level:

1. Add it to ``vocabulary.h`` and ``vocabulary.c`` in ``runtime/core``, which check every model file and
   encode. Name it in the comment on ``level`` in ``runtime/core/textgen.h`` and in its type in
   ``runtime/web/index.d.ts``. Add it below, and to ``decode`` if its symbols are not its texts.
2. To train such models, build the vocabulary from a corpus in ``data/vocabularies.py``, which
   ``data/dataset_from_corpus.py`` calls. Add an encoder of large texts to ``make_encoder`` in
   ``data/parts.py``, and count the characters of tokens in ``data/tokens.py``.
"""

import codecs
from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Literal, NamedTuple, TypeAlias

from ._core import CoreModel
from .errors import Name, PromptError
from .files import BYTE_ORDER_MARK
from .terminal import escape

CHARACTER = "character"
BYTE = "byte"
WORD = "word"
LEVELS = (CHARACTER, BYTE, WORD)

UnknownPolicy: TypeAlias = Literal["error", "skip"]

# Stands for a character that no text of a model can have.
OUTSIDE = -1

# The text of a special token in lists.
REPLACEMENT = "\ufffd"

# The vocabulary entry of byte n is U+00n. Special tokens follow.
BYTE_SYMBOLS = tuple(map(chr, range(256)))

# Bytes that are not UTF-8 are U+DC80 to U+DCFF in a text that is encoded, so that any file can be encoded.
BYTES_TO_TEXT = "surrogateescape"

MARK = BYTE_ORDER_MARK.encode()

# No vocabulary has it as a symbol.
END_NAME = "<end>"

# What reports call a token at the level of words, where it is a word or a character.
UNIT_OF_WORDS = "token"

MAX_LISTED = 10

# Characters that a keyboard and a printed text use for each other.
LOOK_ALIKES = ('"“”„«»', "'\u2019\u2018\u201a", "-\u2013\u2014", " \u00a0\u202f")

NAMES = {" ": "space", "\n": "newline", "\t": "tab"}


class SpecialTokens(NamedTuple):
    """The special tokens of a vocabulary. The vocabulary entry of each is ``""``, because they have no text.

    Attributes:
        unknown: Stands for symbols outside the vocabulary, or None. It is scored like any other token, but
            never drawn.
        begin: The first token of each record, or None. It is never drawn.
        end: The last token of each record, or None. A text ends where it is drawn. A vocabulary has either
            both ``begin`` and ``end``, or neither.
    """

    unknown: int | None = None
    begin: int | None = None
    end: int | None = None

    @property
    def by_name(self) -> dict[str, int]:
        """The tokens that exist, by name, such as ``{"unknown": 0}``."""
        return {name: token for name, token in self._asdict().items() if token is not None}

    @property
    def never_drawn(self) -> tuple[int, ...]:
        """The tokens that no text contains: ``unknown`` and ``begin`` if they exist."""
        return tuple(token for token in (self.unknown, self.begin) if token is not None)


NO_SPECIAL_TOKENS = SpecialTokens()


class Tokenizer:
    """Converts text to tokens and back. Tokens are integers in [0, len(tokenizer)).

    A token is a character, a byte of UTF-8, or a word with the space before it. A text is encoded from left
    to right, each time as the longest symbol that matches. ``model_file.make_tokenizer`` makes a tokenizer
    without a model.

    Args:
        core: The model in the C core.
        decoding: What ``bytes.decode`` does with bytes that are not UTF-8: "replace" or "surrogateescape".

    Attributes:
        level: The kind of token, such as "character".
        special: The special tokens, which have no text.
        decoding: What ``bytes.decode`` does with bytes that are not UTF-8.
    """

    def __init__(self, core: CoreModel, decoding: str = "replace") -> None:
        self._core, self.decoding = core, decoding
        self.level, self.special = core.level, SpecialTokens(*core.special)

    @property
    def unknown(self) -> int | None:
        """The token of the unknown symbol, or None if the vocabulary has no unknown symbol."""
        return self.special.unknown

    @cached_property
    def symbols(self) -> tuple[str, ...]:
        """The texts of all tokens, in the order of the tokens. That of a special token is ``""``.

        At level byte, that of byte n is the character U+00n.
        """
        encoding = "latin-1" if self.level == BYTE else "utf-8"
        return tuple([symbol.decode(encoding) for symbol in self._core.symbols()])

    def __len__(self) -> int:
        return self._core.vocabulary_size

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Tokenizer):
            return NotImplemented
        return (self.level, self.symbols, self.special) == (other.level, other.symbols, other.special)

    def __hash__(self) -> int:
        return hash((self.level, self.symbols, self.special))

    def raw(self) -> "Tokenizer":
        """Return the same tokenizer, whose texts keep bytes that are not UTF-8, as U+DC80 to U+DCFF.

        ``str.encode("utf-8", "surrogateescape")`` returns the bytes of such a text.
        """
        return Tokenizer(self._core, BYTES_TO_TEXT)

    def can_encode(self, text: str) -> bool:
        """Return whether a normalized text can be encoded without the unknown symbol."""
        return OUTSIDE not in self.encode_known(text)

    def encode(self, text: str, unknown: UnknownPolicy = "error") -> "array[int]":
        """Convert a normalized text to tokens, of type code ``q`` (int64).

        Args:
            text: The text. At level byte, U+DC80 to U+DCFF are bytes that are not UTF-8.
            unknown: What to do with characters outside the vocabulary. ``"skip"`` drops them. ``"error"``
                encodes them as the unknown symbol, or raises ``PromptError`` if the vocabulary has none.

        Raises:
            PromptError: As above. The message names the characters.
            ValueError: If ``unknown`` is neither ``"error"`` nor ``"skip"``.
        """
        if unknown not in ("error", "skip"):
            raise ValueError(f"unknown must be 'error' or 'skip', not {unknown!r}")
        tokens = self.encode_known(text)
        if OUTSIDE not in tokens:
            return tokens
        if unknown == "skip":
            return array("q", [token for token in tokens if token != OUTSIDE])
        if self.unknown is None:
            found = sorted(self.count_unknown(text))
            alike = [
                other for kind in LOOK_ALIKES if {*kind} & {*found} for other in kind if other not in found
            ]
            others = format_symbols([other for other in alike if other in self.symbols])
            raise PromptError(
                f"not in the model's vocabulary: {format_symbols(found)}; ",
                f"type {others}" if others else "remove them",
                ", or skip them with ",
                Name("unknown", "skip"),
            )
        return array("q", [self.unknown if token == OUTSIDE else token for token in tokens])

    def encode_known(self, text: str) -> "array[int]":
        """Convert a text to tokens, with ``OUTSIDE`` for each character that no generated text can have."""
        tokens, end = array("q"), 0
        if self.level == BYTE:
            try:
                tokens.extend(text.encode("utf-8", BYTES_TO_TEXT))
            except UnicodeEncodeError:
                for part in text:
                    tokens.extend([OUTSIDE] if _is_half_pair(part) else part.encode("utf-8", BYTES_TO_TEXT))
            return tokens
        content = text.encode("utf-8", "surrogatepass")
        while end < len(content):
            if content.startswith(MARK, end):
                # The core drops a byte-order mark at the start of what it gets.
                is_known = BYTE_ORDER_MARK in self.symbols
                tokens.append(self.symbols.index(BYTE_ORDER_MARK) if is_known else OUTSIDE)
                end += len(MARK)
                continue
            known, end = self._core.encode(content, end)
            tokens += known
            if end < len(content):
                tokens.append(OUTSIDE)
                end += 1 + sum(content[end] >= first for first in (0xC0, 0xE0, 0xF0))
        if self.unknown is not None and self.unknown in tokens:
            return array("q", [OUTSIDE if token == self.unknown else token for token in tokens])
        return tokens

    def count_unknown(self, text: str) -> Counter[str]:
        """Count how often each character outside the vocabulary occurs in a normalized text."""
        if self.level == BYTE:
            return Counter(filter(_is_half_pair, text))
        position, counts = 0, Counter[str]()
        for token in self.encode_known(text):
            if token == OUTSIDE:
                counts[text[position]] += 1
            position += 1 if token == OUTSIDE else len(self.symbols[token])
        return counts

    def decode(self, tokens: Iterable[int]) -> str:
        """Convert tokens to text. Special tokens and an incomplete character at the end add no text."""
        if self.level != BYTE:
            return "".join(map(self.symbols.__getitem__, tokens))
        content = bytes([token for token in tokens if token < len(BYTE_SYMBOLS)])
        incomplete = 0 if self.decoding == BYTES_TO_TEXT else _incomplete(content)
        return content[: len(content) - incomplete].decode("utf-8", self.decoding)

    def decode_each(self, tokens: Iterable[int]) -> Sequence[str]:
        """Return the text of each token; U+FFFD, the replacement character, for a special token.

        A str if each token is a character. Of bytes, a character belongs to its last byte, and other bytes
        are empty. A byte after which earlier bytes turn out to be invalid also has U+FFFD for them.
        """
        if self.level != BYTE:
            texts = [self.symbols[token] or REPLACEMENT for token in tokens]
            return "".join(texts) if self.level == CHARACTER else texts
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        return [decoder.decode(bytes((token,) if token < len(BYTE_SYMBOLS) else ())) for token in tokens]


def _incomplete(data: bytes) -> int:
    """Return how many of the last bytes are the beginning of a character, as the C core does."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    decoder.decode(data[-3:])
    beginning, _ = decoder.getstate()
    # Python also waits after the first two bytes of half of a surrogate pair, which is no character.
    return 0 if beginning[:1] == b"\xed" and beginning[1:] >= b"\xa0" else len(beginning)


def _is_half_pair(character: str) -> bool:
    """Whether a text is half of a surrogate pair that stands for no byte."""
    return "\ud800" <= character <= "\udfff" and not "\udc80" <= character <= "\udcff"


def format_symbols(symbols: list[str]) -> str:
    """Return at most 10 symbols, such as ``'é' (U+00E9), 'ж' (U+0436)``. Words have no code points."""
    listed = [
        f"{symbol!r} (U+{ord(symbol):04X})" if len(symbol) == 1 else repr(symbol)
        for symbol in symbols[:MAX_LISTED]
    ]
    remaining = len(symbols) - len(listed)
    return ", ".join(listed) + (f" and {remaining:,} more" if remaining else "")


def symbol_name(symbol: str) -> str:
    """Return a visible name for a symbol in a table or on an axis.

    White space has a name, such as ``space``. A character without a shape of its own, such as a control
    character or a combining accent, is an escape. A symbol of several characters, such as a word, is quoted
    if it needs an escape or has white space.
    """
    if symbol in NAMES:
        return NAMES[symbol]
    if len(symbol) == 1:
        return symbol if _has_shape(symbol) else escape(symbol)
    return symbol if all(_has_shape(character) for character in symbol) else repr(symbol)


def _has_shape(character: str) -> bool:
    # Imported only when needed, because importing it takes longer than generating a short text.
    from unicodedata import category

    is_combining = category(character).startswith("M")
    return character.isprintable() and not character.isspace() and not is_combining


def byte_name(token: int) -> str:
    r"""Return the text of a single byte: a character of ASCII, or an escape such as ``\xc3``."""
    return chr(token) if chr(token).isascii() else f"\\x{token:02x}"


def token_text(tokenizer: Tokenizer, token: int) -> str:
    r"""Return the text of one token that has no tokens around it.

    It is ``<end>`` for the end of a record, and U+FFFD for other special tokens. A byte that is not ASCII has
    a name such as ``\xc3``.
    """
    if token == tokenizer.special.end:
        return END_NAME
    if tokenizer.level == BYTE and tokenizer.symbols[token]:
        return byte_name(token)
    return tokenizer.symbols[token] or REPLACEMENT


def unit_of(tokenizer: Tokenizer) -> str:
    """Return what reports call one token: "character", "byte" or "token"."""
    return tokenizer.level if tokenizer.level in (CHARACTER, BYTE) else UNIT_OF_WORDS


def describe_vocabulary(size: int, unit: str, special: int) -> str:
    """Return the size of a vocabulary, such as "57 characters and 1 special token".

    Args:
        size: Number of tokens.
        unit: What reports call a token. Special tokens are tokens, but neither characters nor bytes.
        special: Number of special tokens.
    """
    if not special:
        return f"{size:,} {unit}s"
    if unit == UNIT_OF_WORDS:
        return f"{size:,} tokens, {special} of them special"
    return f"{size - special:,} {unit}s and {special} special token{'s' * (special != 1)}"


def unknown_characters_warning(characters: Counter[str], policy: UnknownPolicy) -> str:
    """Return the warning about characters of prompts that are outside the vocabulary and were accepted.

    Args:
        characters: The characters, and how often each occurs.
        policy: What was done with them, as for ``Tokenizer.encode``.
    """
    count = characters.total()
    subject, were = ("characters are", "were") if count > 1 else ("character is", "was")
    effect = "skipped" if policy == "skip" else "fed as the unknown symbol"
    names = format_symbols(sorted(characters))
    return f"{count:,} prompt {subject} outside the vocabulary and {were} {effect}: {names}"
