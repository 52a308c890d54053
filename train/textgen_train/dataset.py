"""The dataset of a run: texts are read, normalized, divided and encoded. What a reader should know of them.

The corpus is in memory as tokens of 1, 2 or 4 bytes (``train/core/corpus.c``). This module makes the
vocabularies that the trainer in C does not make by itself: of words, with an unknown symbol, and those of
models.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

from textgen_runtime.corpus import CORPUS_NAMES, Corpus, read_corpus
from textgen_runtime.errors import CorpusError, Name, TextFileError, shorten
from textgen_runtime.files import STANDARD_INPUT
from textgen_runtime.json_text import from_json, to_json
from textgen_runtime.model_file import make_tokenizer
from textgen_runtime.text import is_held_out, split_records
from textgen_runtime.tokenizer import (
    BYTE,
    BYTES_TO_TEXT,
    CHARACTER,
    REPLACEMENT,
    WORD,
    SpecialTokens,
    Tokenizer,
    format_symbols,
    unit_of,
)

from . import _core
from .config import VOCABULARY_SIZE, Config
from .errors import extended

# The share of a text whose symbols are counted is at most that which is learned by default.
USUAL_HELD_OUT = 0.1

# Words that are rarer are spelled with their characters.
MIN_OCCURRENCES = 3

# The maximum number of characters of a symbol.
MAX_SYMBOL_LENGTH = 64

# What a symbol of several characters may contain, as the C core checks it.
WORD_SYMBOL = re.compile(r" ?[0-9A-Za-z_\u0080-\U0010ffff]+")

# Tokens that are counted for a report, and how many symbols it shows.
MAX_COUNTED, FREQUENT_SYMBOLS = 1_500_000, 12

# A model copies a text of fewer characters, and one of so many has something to learn.
MIN_CHARACTERS, GOOD_CHARACTERS = 10_000, 100_000


@dataclass(frozen=True)
class Dataset:
    """A training text and a held-out text as tokens.

    Attributes:
        tokens: The corpus of the trainer, with the tokens of both texts.
        tokenizer: The vocabulary. The unknown symbol, if there is one, stands for rare symbols.
        source: The corpus as it was read.
        held_out: The separate held-out text, or None.
        rare: Symbols that the unknown symbol replaces.
        hints: What could be better for this text, as lines.
        is_fine_tuning: Whether the vocabulary is that of a model.
    """

    config: Config
    tokens: _core.Corpus
    tokenizer: Tokenizer
    source: Corpus
    held_out: Corpus | None
    rare: Sequence[str]
    hints: Sequence[str]
    is_fine_tuning: bool = False

    @property
    def sizes(self) -> tuple[int, int]:
        """The numbers of common symbols and of training tokens, on which the presets depend."""
        return self.tokens.common_symbols, self.tokens.training_tokens

    @property
    def files(self) -> list[Path]:
        """The files of all texts."""
        return [*self.source.files, *(self.held_out.files if self.held_out else ())]

    @property
    def characters_per_token(self) -> float:
        """Mean number of characters of a training token."""
        return self.tokens.training_characters / self.tokens.training_tokens

    @cached_property
    def prompts(self) -> list[str]:
        """Excerpts of the training text, which a model file stores; none of records, or if it is no text."""
        return list(from_json(self.tokens.prompts))

    @cached_property
    def frequent_symbols(self) -> list[tuple[int, float]]:
        """The most frequent tokens, with their shares of the training text; of a longer text, of its end."""
        counts = Counter(self.tokens.training[-MAX_COUNTED:])
        return [(token, count / counts.total()) for token, count in counts.most_common(FREQUENT_SYMBOLS)]

    def text_of(self, tokens: memoryview) -> str:
        """Return the text of tokens. The end of a record is a line end; bytes may be U+DC80 to U+DCFF."""
        end, symbols = self.tokenizer.special.end, self.tokenizer.symbols
        if self.tokenizer.level == BYTE:
            content = bytes(10 if token == end else token for token in tokens)
            return content.decode("utf-8", BYTES_TO_TEXT)
        texts = [symbol or REPLACEMENT for symbol in symbols]
        if end is not None:
            texts[end] = "\n"
        return "".join([texts[token] for token in tokens])

    def describe_split(self) -> dict[str, Any]:
        """Return what a model file says of the division of the text."""
        tokens, share = self.tokens, 100 * self.tokens.held_out_share
        split: dict[str, Any] = {
            "training_characters": tokens.training_characters,
            "held_out_characters": tokens.held_out_characters,
        }
        if self.config.level != CHARACTER:
            split |= {"training_tokens": tokens.training_tokens, "held_out_tokens": tokens.held_out_tokens}
        if self.rare:
            # The vocabulary of a model of --from was made with a value of that run.
            own = {"min_count": self.config.min_count} if self.config.min_count > 1 else {}
            split["unknown"] = {**own, "symbols": len(self.rare)}
        if self.config.records is not None:
            split |= {
                "training_records": tokens.training_records,
                "held_out_records": tokens.held_out_records,
            }
        if self.held_out is not None:
            split["held_out"] = {"corpus": self.held_out.name, "sha256": self.held_out.sha256}
        elif self.config.records is not None:
            split["held_out"] = f"{share:g}% of the records, by a hash of each record"
        else:
            split["held_out"] = f"the last {share:g}% of the corpus"
        return split

    def describe(self) -> str:
        """Return lines with the sizes of both texts and the vocabulary, a verdict, and hints."""
        tokens = self.tokens
        learned, held_out = f"{tokens.training_characters:,}", f"{tokens.held_out_characters:,}"
        if self.config.records is None:
            sizes = f"{learned} characters to learn, {held_out} held out"
        else:
            sizes = (
                f"{tokens.training_records:,} records to learn, {tokens.held_out_records:,} held out "
                f"({learned} and {held_out} characters with the ends)"
            )
        if self.config.level != CHARACTER:
            sizes += f", {tokens.training_tokens:,} and {tokens.held_out_tokens:,} {unit_of(self.tokenizer)}s"
        symbols = len(self.tokenizer) - len(self.tokenizer.special.by_name)
        lines = [f"{_describe_source(self.source)}: {sizes}, {symbols:,} symbols"]
        if self.rare:
            lines.append(f"the unknown symbol replaces {format_symbols(list(self.rare))}")
        if tokens.training_characters < MIN_CHARACTERS and not self.is_fine_tuning:
            lines.append(
                f"{tokens.training_characters:,} characters are few: a model will copy them; "
                f"{MIN_CHARACTERS:,} are a start, {GOOD_CHARACTERS:,} are better"
            )
        return "".join([f"{line}\n" for line in [*lines, *(f"hint: {hint}" for hint in self.hints)]])


def read_dataset(config: Config, known: Tokenizer | None = None, *, extend: bool = False) -> Dataset:
    """Read, normalize, divide and encode the texts of a run.

    Args:
        config: The options of the run.
        known: The vocabulary of the model that is trained further.
        extend: Whether to add new symbols of the corpus to it.

    Raises:
        CorpusError: If a text is not available, too short, or has symbols that the model does not know.
        TextFileError: If a text cannot be read.
    """
    if config.corpus == config.held_out_file == STANDARD_INPUT:
        raise CorpusError(f"standard input ({STANDARD_INPUT}) can be read only once")
    source, held_out = (
        None if name is None else read_corpus(name, any_bytes=config.level == BYTE, records=config.records)
        for name in (config.corpus, config.held_out_file)
    )
    assert source is not None  # noqa: S101 (for mypy)
    texts = [_read_text(corpus, config) for corpus in (source, held_out) if corpus is not None]
    # Line ends between records are no symbols.
    ends = {"\n"} if config.records == "lines" else set()
    symbols = sorted(set().union(*texts) - ends) if config.level != BYTE else []
    vocabulary: tuple[list[str], dict[str, int]] | None = None
    if known is not None:
        vocabulary = [*known.symbols], known.special.by_name
    elif config.level == WORD or config.min_count > 1:
        vocabulary = _make_vocabulary(config, source, texts[0], symbols)
    tokens = _encode(config, source, texts, vocabulary, extend=extend)
    special = SpecialTokens(**from_json(tokens.special or "{}"))
    tokenizer = make_tokenizer(config.level, from_json(tokens.vocabulary), special)
    rare = [symbol for symbol in symbols if special.unknown is not None and not tokenizer.can_encode(symbol)]
    hints = _hints(config, texts[0]) if known is None else []
    return Dataset(config, tokens, tokenizer, source, held_out, rare, hints, known is not None)


def _read_text(corpus: Corpus, config: Config) -> str:
    try:
        text = corpus.text
    except TextFileError as error:
        hint = (
            () if config.level == BYTE else ("; or train on the bytes of any file with ", Name("level", BYTE))
        )
        raise extended(_all_errors(corpus, error), *hint) from None
    if config.level == BYTE:
        return text
    text = config.normalization.apply(text)
    return unwrap(text) if config.unwrap else text


def _all_errors(corpus: Corpus, first: TextFileError) -> TextFileError:
    """Return one error for all files of a folder that cannot be read."""
    errors = []
    for path in corpus.files if len(corpus.files) > 1 else ():
        try:
            for _ in read_corpus(str(path)).chunks():
                pass
        except TextFileError as error:
            errors.append(str(error))
        except CorpusError:
            # A folder may have a file without a text.
            continue
    return TextFileError("; ".join(errors)) if errors else first


def _encode(
    config: Config,
    source: Corpus,
    texts: Sequence[str],
    vocabulary: tuple[list[str], dict[str, int]] | None,
    *,
    extend: bool,
) -> _core.Corpus:
    encoded = [text.encode("utf-8", BYTES_TO_TEXT) for text in texts]
    try:
        return _core.Corpus(
            encoded[0],
            source.name,
            level=config.level,
            records=config.records,
            held_out=config.held_out,
            held_out_text=encoded[1] if len(texts) > 1 else None,
            unicode=config.normalization.unicode,
            lowercase=config.normalization.lowercase,
            vocabulary=None if vocabulary is None else to_json(vocabulary[0], ascii_only=False),
            special=None if vocabulary is None else to_json(vocabulary[1]),
            extend=extend,
        )
    except CorpusError as error:
        raise CorpusError(f"the corpus {source.name}: ", *error.args) from None


# ---- Vocabularies ----


def _make_vocabulary(
    config: Config, source: Corpus, text: str, symbols: Sequence[str]
) -> tuple[list[str], dict[str, int]]:
    """Return the entries of a vocabulary with an unknown symbol for rare characters, and of words."""
    learned = _learned_part(config, text)
    counts = Counter("".join(learned))
    entries = [symbol for symbol in symbols if counts[symbol] >= config.min_count or config.min_count == 1]
    if not entries:
        raise CorpusError(
            f"no symbol occurs at least {config.min_count} times in the corpus {source.name}: lower ",
            Name("min_count"),
        )
    special = {}
    if len(entries) < len(symbols):
        entries, special = ["", *entries], {"unknown": 0}
    if config.level == WORD:
        size = config.vocabulary_size or VOCABULARY_SIZE
        room = size - len(entries) - 2 * (config.records is not None)
        if room < 1:
            raise CorpusError(
                f"the corpus {source.name} has {len(symbols):,} different characters, which leave no room "
                f"for words in a vocabulary of {size:,}: raise ",
                Name("vocabulary_size"),
            )
        entries += frequent_words(learned, room)
    if config.records is not None:
        special |= {"begin": len(entries), "end": len(entries) + 1}
        entries += ["", ""]
    return entries, special


def _learned_part(config: Config, text: str) -> list[str]:
    """Return texts whose symbols are counted: a part of what the run learns."""
    share = 0.0 if config.held_out_file else config.held_out or USUAL_HELD_OUT
    if config.records is not None:
        return [part for part in split_records(text, config.records) if not is_held_out(part, share)]
    return [text[: len(text) - round(len(text) * share)]]


def frequent_words(texts: Sequence[str], number: int) -> list[str]:
    """Return the most frequent words of texts, each with the space before it, the most frequent first."""
    counts: Counter[str] = Counter()
    pattern = _piece_pattern()
    for text in texts:
        counts.update(pattern.findall(text))
    words = [
        (-count, piece)
        for piece, count in counts.items()
        if count >= MIN_OCCURRENCES and 1 < len(piece) <= MAX_SYMBOL_LENGTH and WORD_SYMBOL.fullmatch(piece)
    ]
    return [piece for _, piece in sorted(words)[:number]]


def _piece_pattern() -> re.Pattern[str]:
    """Return the expression that cuts a text into words, each with the space before it, and characters."""
    from unicodedata import category

    # Combining marks and the two joiners continue a word: most words in Hindi have some.
    marks = "".join(chr(code) for code in range(0x300, 0x1F000) if category(chr(code))[0] == "M")
    return re.compile(rf" ?\w+(?:[{marks}\u200c\u200d]+\w*)*|.", re.DOTALL)


# ---- What a text looks like ----

# Characters at the start of a text that are looked at.
REGION = 100_000

# A list of at least so many lines looks like records if nearly all lines are short, and hardly any is blank.
MIN_LINES, MAX_LIST_LINE, MAX_OTHER_LINES = 200, 100, 0.01

# Lines are wrapped at a width if the next word would not fit into this share of those before another line.
MIN_WIDTH, MAX_WIDTH, MIN_SHARE = 40, 110, 0.7

# Poems and tunes: so many parts between blank lines, with so many lines each at least, and mostly short ones.
MIN_PARTS, MIN_PART_LINES, MAX_POEM_LINE, MIN_SHORT = 50, 4, 60, 0.8


def unwrap(text: str) -> str:
    """Join the lines of each paragraph. Blank lines, and lines that begin with white space, start another."""
    return re.sub(r"(?<=\S)[ \t]*\n(?=\S)", " ", text)


def looks_like_list(text: str) -> bool:
    """Return whether a text has many short lines, and hardly any blank or long ones."""
    lines = text.split("\n")
    others = sum(len(line) > MAX_LIST_LINE or not line or line.isspace() for line in lines)
    return len(lines) >= MIN_LINES and others <= MAX_OTHER_LINES * len(lines)


def wrapped_width(text: str) -> int:
    """Return the width at which the lines of a text are wrapped; 0 if they are not."""
    lines = text.split("\n")
    pairs = [(line, after) for line, after in pairwise(lines) if line.strip() and after.strip()]
    inner = sorted((len(line), len(after.split()[0])) for line, after in pairs)
    if len(inner) < MIN_LINES:
        return 0
    # A few lines may be longer, such as addresses.
    width = inner[-1 - len(inner) // 100][0]
    full = sum(length + 1 + word > width for length, word in inner)
    return width if MIN_WIDTH <= width <= MAX_WIDTH and full >= MIN_SHARE * len(inner) else 0


def looks_like_poems(text: str) -> bool:
    """Return whether a text consists of parts of several short lines between blank lines."""
    parts = [part.split("\n") for part in split_records(text, "blank")]
    # The parts of a play begin with the name of the speaker.
    parts = [lines for lines in parts if not lines[0].endswith(":")]
    if len(parts) < MIN_PARTS or median(map(len, parts)) < MIN_PART_LINES:
        return False
    return sum(len(line) <= MAX_POEM_LINE for lines in parts for line in lines) > MIN_SHORT * sum(
        map(len, parts)
    )


def _hints(config: Config, text: str) -> "list[str]":
    """Return what could be better for a text."""
    hints = [
        f"{name} is the name of a corpus; for the file or folder with this name, pass ./{name}"
        for name in (config.corpus, config.held_out_file)
        if name in CORPUS_NAMES and Path(name).exists()
    ]
    if config.level == BYTE or config.records is not None or config.recipe:
        return hints
    start = text[:REGION]
    if looks_like_list(start):
        hints.append("this text looks like a list; with --records lines, each line is a text of its own")
    elif width := wrapped_width(start):
        hints.append(
            f"the lines of this text are wrapped at {width} characters, and a model learns that; --unwrap "
            "joins the lines of each paragraph"
        )
    elif looks_like_poems(start):
        hints.append(
            "this text looks like poems or tunes; with --records blank, each part between blank lines is a "
            "text of its own"
        )
    return hints


def _describe_source(corpus: Corpus) -> str:
    """Return the name of a corpus; of a folder, also how many files are read, and which are not."""
    if corpus.skipped is None:
        return corpus.name
    read, skipped = len(corpus.files), [path.name for path in corpus.skipped]
    names = shorten(", ".join(skipped[:MAX_NAMED]) + ("..." if len(skipped) > MAX_NAMED else ""))
    more = f"; {len(skipped):,} skipped: {names}" if skipped else ""
    return f"{corpus.name} ({read:,} file{'s' * (read > 1)} read{more})"


MAX_NAMED = 5


def trained_share(training: Mapping[str, Any], dataset: Dataset) -> float:
    """Return the share of the held-out text that a model was trained on, in [0, 1].

    It is 0 if the model file does not state that it was trained on this text.

    Args:
        training: The metadata ``textgen.training`` of the model.
        dataset: The dataset of another run, with the normalization of the model.
    """
    split, text = training.get("split"), dataset.held_out or dataset.source
    if training.get("sha256") != text.sha256 or not isinstance(split, dict):
        return 0.0
    # The model holds out the same end of the corpus, or the same records, except if its held-out text is
    # separate.
    unseen = 0 if isinstance(split.get("held_out"), dict) else split.get("held_out_characters")
    return max(0.0, 1.0 - unseen / dataset.tokens.held_out_characters) if isinstance(unseen, int) else 0.0


def describe_overlap(dataset: Dataset, models: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return warnings if the held-out text is no honest measure.

    Args:
        models: The metadata ``textgen.training`` of each model that the run learns from, by its option.
    """
    if dataset.held_out and dataset.held_out.sha256 == dataset.source.sha256:
        return [
            "the held-out text is the corpus itself, so the held-out loss is one of the training text: pass "  # noqa: ISC004 (one text)
            "another text with --held-out-file, or omit the option"
        ]
    return [
        f"the model of {name} was trained on {share:.0%} of the held-out text, so the held-out loss is too "
        "low: use the --held-out of that training, or pass another text with --held-out-file"
        for name, training in models.items()
        if round(share := trained_share(training, dataset), 2)
    ]
