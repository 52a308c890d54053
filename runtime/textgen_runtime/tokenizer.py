"""The interface between text and tokens, the levels of tokens, and the special tokens.

Generation, scoring and the commands of the runtime work with any tokenizer. The level of a tokenizer, such as
"character", is its kind of token. A model file stores it as ``textgen.level``.

To add a tokenizer:

1. Write a class that has all members of ``Tokenizer``. ``Vocabulary`` has most of them.
2. Add its level below, and the class to ``make_tokenizer`` in ``model_file.py``.
3. Add the level to ``vocabulary.h`` and ``vocabulary.c`` in ``runtime/core``,
   which checks every model file. Model files of this level can then be loaded, run and scored. Name it in
   the comment on ``level`` in ``runtime/core/textgen.h`` and in its type in ``runtime/web/index.d.ts``.
4. To train such models, build the vocabulary from a corpus in ``data/vocabularies.py``, which
   ``data/dataset_from_corpus.py`` calls. Add an encoder of large texts to ``make_encoder`` in
   ``data/parts.py``, and count the characters of tokens in ``data/tokens.py``.
"""

import codecs
import re
from array import array
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Container, Iterable, Sequence
from functools import cache, cached_property
from typing import ClassVar, Literal, NamedTuple, Protocol, TypeAlias

from .errors import Name, PromptError
from .system.console import escape

CHARACTER = "character"
BYTE = "byte"
WORD = "word"
LEVELS = (CHARACTER, BYTE, WORD)

UnknownPolicy: TypeAlias = Literal["error", "skip"]

# Stands for a character that no text of a model can have.
OUTSIDE = -1

# The text of a special token in lists.
REPLACEMENT = "\ufffd"


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

    def check(self, symbols: Sequence[object]) -> None:
        """Check that the tokens fit a vocabulary.

        Raises:
            ValueError: If one of them is not a token of the vocabulary, if its entry is not ``""``, if two of
                them are equal, or if there is only one of ``begin`` and ``end``.
        """
        tokens = self.by_name
        for name, token in tokens.items():
            if not 0 <= token < len(symbols):
                raise ValueError(f"{name} must be a token in [0, {len(symbols)}), not {token}")
            if symbols[token] != "":
                raise ValueError(f'the entry of {name} must be "", not {symbols[token]!r}')
        if len(set(tokens.values())) < len(tokens):
            raise ValueError(f"the special tokens must differ: {', '.join(tokens)}")
        if (self.begin is None) != (self.end is None):
            raise ValueError("begin and end must be given together")


NO_SPECIAL_TOKENS = SpecialTokens()


class Tokenizer(Protocol):
    """Converts text to tokens and back.

    A tokenizer is immutable and hashable. Two tokenizers are equal if they encode every text to the same
    tokens. Tokens are integers in [0, len(tokenizer)).
    """

    @property
    def level(self) -> str:
        """The kind of token, such as "character". A model file stores it as ``textgen.level``."""
        ...

    @property
    def decoding(self) -> str:
        """What ``bytes.decode`` does with bytes that are not UTF-8: "replace" or "surrogateescape"."""
        ...

    @property
    def symbols(self) -> tuple[str, ...]:
        """The texts of all tokens, in the order of the tokens. Special tokens have the text ``""``."""
        ...

    @property
    def special(self) -> SpecialTokens:
        """The special tokens, which have no text."""
        ...

    @property
    def unknown(self) -> int | None:
        """The token of the unknown symbol, or None if the vocabulary has no unknown symbol."""
        ...

    def __len__(self) -> int:
        """Return the number of tokens in the vocabulary."""
        ...

    def __hash__(self) -> int:
        """Return a hash that equal tokenizers share."""
        ...

    def can_encode(self, text: str) -> bool:
        """Return whether a normalized text can be encoded without the unknown symbol."""
        ...

    def encode(self, text: str, unknown: UnknownPolicy = "error") -> "array[int]":
        """Convert a text to tokens.

        Args:
            text: A normalized text.
            unknown: What to do with symbols outside the vocabulary. ``"skip"`` drops them. ``"error"``
                encodes them as the unknown symbol, or raises ``PromptError`` if the vocabulary has none.

        Returns:
            The tokens, with type code ``q`` (int64). ``np.asarray`` converts them without a copy.

        Raises:
            PromptError: If the text has symbols outside the vocabulary, ``unknown`` is ``"error"``, and there
                is no unknown symbol. The message names them.
            ValueError: If ``unknown`` is neither ``"error"`` nor ``"skip"``.
        """
        ...

    def encode_known(self, text: str) -> "array[int]":
        """Convert a text to tokens, with ``OUTSIDE`` for each character that no generated text can have.

        The C core has the same function, ``textgen_encode_known``.
        """
        ...

    def count_unknown(self, text: str) -> Counter[str]:
        """Count how often each symbol outside the vocabulary occurs in a normalized text."""
        ...

    def decode(self, tokens: Iterable[int]) -> str:
        """Convert tokens to text. Special tokens add no text."""
        ...

    def decode_each(self, tokens: Iterable[int]) -> Sequence[str]:
        """Return the text of each token; U+FFFD, the replacement character, for a special token."""
        ...


# What reports call a token at the level of words, where it is a word or a character.
UNIT_OF_WORDS = "token"

# No vocabulary has it as a symbol.
END_NAME = "<end>"

FIRST_NOT_ASCII = 0x80

MAX_LISTED = 10

NAMES = {" ": "space", "\n": "newline", "\t": "tab"}


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
    return chr(token) if token < FIRST_NOT_ASCII else f"\\x{token:02x}"


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


class Vocabulary:
    """The symbols of a tokenizer. The token of a symbol is its index.

    Args:
        symbols: The symbols in the order of their tokens. The entry of each special token is ``""``.
        special: The special tokens.

    Attributes:
        symbols: The symbols in the order of their tokens.
        special: The special tokens.

    Raises:
        ValueError: If the special tokens do not fit the symbols.
    """

    level: ClassVar[str]
    decoding: ClassVar[str] = "replace"

    def __init__(self, symbols: Iterable[str], special: SpecialTokens = NO_SPECIAL_TOKENS) -> None:
        self.symbols = tuple(symbols)
        special.check(self.symbols)
        self.special = special

    @property
    def unknown(self) -> int | None:
        """The token of the unknown symbol, or None."""
        return self.special.unknown

    def __len__(self) -> int:
        return len(self.symbols)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Vocabulary):
            return NotImplemented
        return (self.level, self.symbols, self.special) == (other.level, other.symbols, other.special)

    def __hash__(self) -> int:
        return hash((self.level, self.symbols, self.special))

    def decode(self, tokens: Iterable[int]) -> str:
        """Convert tokens to text. Special tokens add no text."""
        return "".join(map(self.symbols.__getitem__, tokens))

    def decode_each(self, tokens: Iterable[int]) -> Sequence[str]:
        """Return the text of each token; U+FFFD, the replacement character, for a special token."""
        return [self.symbols[token] or REPLACEMENT for token in tokens]


def check_policy(unknown: UnknownPolicy) -> None:
    """Check the name of a policy for symbols outside the vocabulary.

    Raises:
        ValueError: If it is neither ``"error"`` nor ``"skip"``.
    """
    if unknown not in ("error", "skip"):
        raise ValueError(f"unknown must be 'error' or 'skip', not {unknown!r}")


def unknown_characters_error(characters: Counter[str], known: Container[str]) -> PromptError:
    """Return the error for characters outside the vocabulary. The message names them, and what to do.

    Args:
        characters: The characters.
        known: The characters of the vocabulary.
    """
    unknown = sorted(characters)
    message = f"not in the model's vocabulary: {format_symbols(unknown)}"
    if any("\udc80" <= character <= "\udcff" for character in unknown):
        # Python decodes bytes of arguments so if the encoding of the locale lacks them.
        return PromptError(
            f"{message}; characters from U+DC80 to U+DCFF stand for bytes that are invalid in UTF-8 or in "
            "the encoding of the locale: convert the text to UTF-8, and use a UTF-8 locale"
        )
    skip = ("skip them with ", Name("unknown", "skip"))
    lowercase = ("use ", Name("lowercase"))
    capitals = [
        character
        for character in unknown
        if character.lower() != character and all(part in known for part in character.lower())
    ]
    if capitals == unknown:
        return PromptError(f"{message}; the vocabulary has their lower case: ", *lowercase)
    if capitals:
        return PromptError(
            f"{message}; the vocabulary has the lower case of {format_symbols(capitals)}: ",
            *lowercase,
            "; remove the other characters, or ",
            *skip,
        )
    return PromptError(f"{message}; remove them, or ", *skip)


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


class CharacterTokenizer(Vocabulary):
    """A tokenizer whose tokens are characters. The token of a character is its index in the vocabulary.

    Characters outside the vocabulary are encoded as the unknown symbol if there is one.
    """

    level = CHARACTER

    def __init__(self, symbols: Iterable[str], special: SpecialTokens = NO_SPECIAL_TOKENS) -> None:
        super().__init__(symbols, special)
        self._tokens = {symbol: token for token, symbol in enumerate(self.symbols) if symbol}

    def can_encode(self, text: str) -> bool:
        """Return whether all characters of a text are in the vocabulary."""
        return all(symbol in self._tokens for symbol in text)

    def encode(self, text: str, unknown: UnknownPolicy = "error") -> "array[int]":
        """Convert a text to tokens, one for each character; see ``Tokenizer.encode``."""
        check_policy(unknown)
        default = self.unknown if unknown == "error" else None
        tokens = [self._tokens.get(symbol, default) for symbol in text]
        if unknown == "error" and None in tokens:
            raise unknown_characters_error(self.count_unknown(text), self._tokens)
        return array("q", [token for token in tokens if token is not None])

    def encode_known(self, text: str) -> "array[int]":
        """Convert a text to tokens, with -1 for each character outside; see ``Tokenizer.encode_known``."""
        return array("q", [self._tokens.get(symbol, OUTSIDE) for symbol in text])

    def count_unknown(self, text: str) -> Counter[str]:
        """Count how often each character outside the vocabulary occurs in a normalized text."""
        return Counter(symbol for symbol in text if symbol not in self._tokens)

    def decode_each(self, tokens: Iterable[int]) -> str:
        """Return one character for each token; U+FFFD, the replacement character, for a special token."""
        return "".join([self.symbols[token] or REPLACEMENT for token in tokens])


# The vocabulary entry of byte n is U+00n. Special tokens follow.
BYTE_SYMBOLS = tuple(map(chr, range(256)))

# Bytes that are not UTF-8 are U+DC80 to U+DCFF in a text that is encoded, so that any file can be encoded.
BYTES_TO_TEXT = "surrogateescape"


class ByteTokenizer(Vocabulary):
    """A tokenizer whose tokens are bytes of UTF-8. The token of a byte is its value.

    Bytes that are not UTF-8 can be encoded: ``bytes.decode("utf-8", "surrogateescape")`` represents them in a
    text. In decoded text, they become U+FFFD, the replacement character.

    Args:
        symbols: ``BYTE_SYMBOLS``, then ``""`` for each special token.
        special: The special tokens; ``unknown`` must be None, because every byte is in the vocabulary.

    Raises:
        ValueError: If the symbols or the special tokens are others.
    """

    level = BYTE

    def __init__(
        self, symbols: Iterable[str] = BYTE_SYMBOLS, special: SpecialTokens = NO_SPECIAL_TOKENS
    ) -> None:
        super().__init__(symbols, special)
        if special.unknown is not None:
            raise ValueError("a vocabulary of bytes has no unknown symbol")
        if self.symbols != (*BYTE_SYMBOLS, *("" for _ in special.by_name)):
            raise ValueError("a vocabulary of bytes must be U+0000 to U+00FF, then the special tokens")

    def can_encode(self, text: str) -> bool:
        """Return whether a text can be encoded: all but one that has a half of a surrogate pair."""
        return not self.count_unknown(text)

    def encode(self, text: str, unknown: UnknownPolicy = "error") -> "array[int]":
        """Convert a text to tokens, one for each byte; see ``Tokenizer.encode``."""
        check_policy(unknown)
        try:
            return array("q", iter(text.encode("utf-8", BYTES_TO_TEXT)))
        except UnicodeEncodeError:
            characters = self.count_unknown(text)
            if unknown == "error":
                raise unknown_characters_error(characters, ()) from None
        return self.encode("".join([character for character in text if character not in characters]))

    def encode_known(self, text: str) -> "array[int]":
        """Convert a text to tokens, with -1 for each half of a pair; see ``Tokenizer.encode_known``."""
        try:
            return self.encode(text)
        except PromptError:
            tokens = array("q")
            for character in text:
                tokens.extend([OUTSIDE] if _is_half_pair(character) else self.encode(character))
            return tokens

    def count_unknown(self, text: str) -> Counter[str]:
        """Count the halves of surrogate pairs in a text, which are no bytes."""
        return Counter(character for character in text if _is_half_pair(character))

    def decode(self, tokens: Iterable[int]) -> str:
        """Convert tokens to text. An incomplete character at the end adds no text."""
        content = _bytes_of(tokens)
        return content[: len(content) - _incomplete(content)].decode("utf-8", "replace")

    def decode_each(self, tokens: Iterable[int]) -> list[str]:
        """Return the text of each token: a character belongs to its last byte, and other bytes are empty.

        A byte after which earlier bytes turn out to be invalid also has U+FFFD for them.
        """
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        return [decoder.decode(_bytes_of((token,))) for token in tokens]


class RawByteTokenizer(ByteTokenizer):
    """A tokenizer of bytes whose decoded text keeps those that are not UTF-8, as U+DC80 to U+DCFF.

    ``str.encode("utf-8", "surrogateescape")`` returns the bytes of such a text.
    """

    decoding = BYTES_TO_TEXT

    def decode(self, tokens: Iterable[int]) -> str:
        """Convert tokens to text."""
        return _bytes_of(tokens).decode("utf-8", self.decoding)


def _incomplete(data: bytes) -> int:
    """Return how many of the last bytes are the beginning of a character, as the C core does."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    decoder.decode(data[-3:])
    beginning, _ = decoder.getstate()
    # Python also waits after the first two bytes of half of a surrogate pair, which is no character.
    return 0 if beginning[:1] == b"\xed" and beginning[1:] >= b"\xa0" else len(beginning)


def _bytes_of(tokens: Iterable[int]) -> bytes:
    return (
        tokens
        if isinstance(tokens, bytes)
        else bytes([token for token in tokens if token < len(BYTE_SYMBOLS)])
    )


def texts_of_bytes(characters: Iterable[str]) -> list[str]:
    """Return the text of each byte of a text: a character belongs to its last byte, others are empty.

    Bytes that are not UTF-8 are U+DC80 to U+DCFF.
    """
    texts: list[str] = []
    for character in characters:
        texts += [""] * (len(character.encode("utf-8", BYTES_TO_TEXT)) - 1)
        texts.append(character)
    return texts


def _is_half_pair(character: str) -> bool:
    return "\ud800" <= character <= "\udfff" and not "\udc80" <= character <= "\udcff"


# The maximum number of characters of a symbol. Encoding takes time in proportion to it.
MAX_SYMBOL_LENGTH = 64

# What a symbol of several characters may contain. The class does not depend on the version of Unicode, so
# that all versions of Python, and the C core, accept the same vocabularies and find the same tokens.
_WORD_CHARACTERS = r"0-9A-Za-z_\u0080-\U0010ffff"
_WORD = re.compile(rf" ?[{_WORD_CHARACTERS}]+")
_CHUNK = re.compile(rf"{_WORD.pattern}|[^{_WORD_CHARACTERS}]")

# The tokens of chunks are kept for the next occurrence. The limits bound the memory to about 50 MB.
MAX_CACHED_CHUNKS = 2**18
MAX_CACHED_LENGTH = 32


class WordTokenizer(Vocabulary):
    """A tokenizer whose tokens are words, each with the space before it, and single characters.

    A text is encoded from left to right, each time as the longest symbol that matches. A text decodes to
    itself, because its tokens are consecutive parts of it. Characters outside the vocabulary are encoded as
    the unknown symbol if there is one.

    Args:
        symbols: Single characters, and words of up to 64 characters; see ``is_symbol``.
        special: The special tokens.
    """

    level = WORD

    def __init__(self, symbols: Iterable[str], special: SpecialTokens = NO_SPECIAL_TOKENS) -> None:
        super().__init__(symbols, special)
        self._tokens = {symbol: token for token, symbol in enumerate(self.symbols) if symbol}
        self._max_length = max(map(len, self.symbols), default=1)
        self._chunks = _ChunkCache(self._match)

    @classmethod
    def is_symbol(cls, text: str) -> bool:
        """Return whether a text is one character, or a word of at most 64 characters.

        A word consists of letters, digits, underscores and characters outside ASCII. One space may precede
        it.
        """
        return len(text) == 1 or (len(text) <= MAX_SYMBOL_LENGTH and _WORD.fullmatch(text) is not None)

    def can_encode(self, text: str) -> bool:
        """Return whether a normalized text can be encoded without the unknown symbol."""
        return OUTSIDE not in self.encode_known(text)

    def encode(self, text: str, unknown: UnknownPolicy = "error") -> "array[int]":
        """Convert a text to tokens, each time the longest symbol that matches; see ``Tokenizer.encode``."""
        check_policy(unknown)
        tokens = self.encode_known(text)
        if OUTSIDE not in tokens:
            return tokens
        if unknown == "skip":
            return array("q", [token for token in tokens if token != OUTSIDE])
        if self.unknown is None:
            raise unknown_characters_error(self.count_unknown(text), self._tokens)
        return array("q", [self.unknown if token == OUTSIDE else token for token in tokens])

    def count_unknown(self, text: str) -> Counter[str]:
        """Count how often each character that cannot be encoded occurs in a normalized text."""
        counts: Counter[str] = Counter()
        position = 0
        for token in self.encode_known(text):
            if token == OUTSIDE:
                counts[text[position]] += 1
            position += 1 if token == OUTSIDE else len(self.symbols[token])
        return counts

    def encode_known(self, text: str) -> "array[int]":
        """Convert a text to tokens, with -1 for each character outside; see ``Tokenizer.encode_known``."""
        tokens = array("q")
        tokens.frombytes(b"".join(map(self._chunks.__getitem__, _CHUNK.findall(text))))
        return tokens

    def _match(self, chunk: str) -> "array[int]":
        """Return the tokens of a chunk. No symbol crosses the border of a chunk.

        A stored prompt may have a million characters. Whatever symbols a file has, each token takes two
        binary searches.
        """
        symbols, lengths = self._sorted_symbols
        tokens = array("q")
        position = 0
        while position < len(chunk):
            rest = chunk[position : position + self._max_length]
            found = _prefix_lengths(symbols, lengths, bisect_right(symbols, rest), rest)
            length = max(1, found.bit_length() - 1)
            tokens.append(self._tokens.get(rest[:length], OUTSIDE))
            position += length
        return tokens

    @cached_property
    def _sorted_symbols(self) -> tuple[list[str], list[int]]:
        """The sorted symbols, and for each the lengths of the symbols that are prefixes of it, as bits."""
        symbols = sorted(self._tokens)
        lengths: list[int] = []
        for count, symbol in enumerate(symbols):
            lengths.append(_prefix_lengths(symbols, lengths, count, symbol) | 1 << len(symbol))
        return symbols, lengths


def _prefix_lengths(symbols: list[str], lengths: list[int], count: int, text: str) -> int:
    """Return the lengths of the symbols that are prefixes of a text, as bits.

    Args:
        symbols: The sorted symbols.
        lengths: The lengths for each of the first ``count`` symbols.
        count: Number of symbols that are not greater than the text. Each prefix of the text among the symbols
            is also a prefix of the last of them.
        text: A text of at most ``MAX_SYMBOL_LENGTH`` characters.
    """
    if not count:
        return 0
    return lengths[count - 1] & (2 << _common_length(symbols[count - 1], text)) - 1


def _common_length(a: str, b: str) -> int:
    """Return the length of the common prefix of two texts."""
    if b.startswith(a):
        return len(a)
    shortest, longest = 0, min(len(a), len(b))
    while shortest < longest:
        middle = (shortest + longest + 1) // 2
        if a[:middle] == b[:middle]:
            shortest = middle
        else:
            longest = middle - 1
    return shortest


@cache
def piece_pattern() -> re.Pattern[str]:
    """Return the expression of the pieces of a text that can become symbols of a vocabulary.

    It cuts a text into words, each with the space before it, and other characters. A symbol of a vocabulary
    that is made of pieces never matches across the border of a piece, so a text may be cut there before
    encoding. Only training needs it, and its table takes time, so the first call makes it.
    """
    from unicodedata import category

    # Combining marks and the two joiners continue a word: most words in Hindi have some.
    marks = "".join(chr(code) for code in range(0x300, 0x1F000) if category(chr(code))[0] == "M")
    # The first alternative matches the same words as the second, in a third of the time.
    return re.compile(rf" ?[0-9A-Za-z_]++(?![^\x00-\x7f])| ?\w+(?:[{marks}\u200c\u200d]+\w*)*|.", re.DOTALL)


class _ChunkCache(dict[str, bytes]):
    """The tokens of chunks, as the bytes of an array. A missing chunk is matched."""

    def __init__(self, match: "Callable[[str], array[int]]") -> None:
        super().__init__()
        self._match = match

    def __missing__(self, chunk: str) -> bytes:
        tokens = self._match(chunk).tobytes()
        if len(chunk) <= MAX_CACHED_LENGTH and len(self) < MAX_CACHED_CHUNKS:
            self[chunk] = tokens
        return tokens
