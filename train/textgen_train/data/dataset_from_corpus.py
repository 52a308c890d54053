"""A dataset from a corpus, which is normalized, split into two parts, and encoded as tokens."""

import math
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from textgen_runtime.corpus import Corpus
from textgen_runtime.errors import Name
from textgen_runtime.text import Normalization, RecordKind
from textgen_runtime.tokenizer import BYTE, CHARACTER, WORD, Tokenizer, unit_of

from textgen_train.errors import CorpusError
from textgen_train.options import HELD_OUT_SHARE, MAX_HELD_OUT_CHARACTERS, VOCABULARY_SIZE

from .dataset import Dataset
from .parts import Block, Reader, WordEncoder, count_symbols, make_encoder
from .tokens import Tokens, TokenWriter
from .vocabularies import (
    add_symbols,
    byte_tokenizer,
    character_tokenizer,
    count_pieces,
    frequent_characters,
    unknown_symbols,
    word_tokenizer,
)

# Shorter texts are too short to train on, or to give a meaningful loss.
MIN_TRAINING_CHARACTERS = 128
MIN_HELD_OUT_CHARACTERS = 8


def make_dataset(  # noqa: PLR0913 (keywords, most with defaults)
    corpus: Corpus,
    normalization: Normalization,
    held_out: float | Corpus | None = None,
    min_count: int = 1,
    *,
    level: str = CHARACTER,
    vocabulary_size: int = VOCABULARY_SIZE,
    tokenizer: Tokenizer | None = None,
    extend: bool = False,
    records: RecordKind | None = None,
    folder: Path | None = None,
    on_read: Callable[[int], None] | None = None,
) -> Dataset:
    """Normalize, split and encode a corpus.

    The corpus is read twice: its symbols are counted, then encoded. Words, and symbols for ``min_count``, are
    counted in further readings. It is never in memory as a whole.

    Args:
        corpus: The corpus to train on.
        normalization: The normalization to apply to all text. It has no effect at the level of bytes.
        held_out: The share of the corpus to hold out, taken from its end, in (0, 1); or a separate corpus.
            None holds out the last tenth, but at most a million characters. With ``records``, the share of
            the records, which ``is_held_out`` selects.
        min_count: Symbols that occur less often in the training text are replaced by one unknown symbol. The
            unknown symbol is predicted and scored, but never drawn. With 1, no symbol is replaced. It has no
            effect at the level of bytes.
        level: What a token is: "character", "byte", or "word" for a frequent word or a character.
        vocabulary_size: Maximum size of a vocabulary of words.
        tokenizer: The vocabulary of a model that is trained further. None makes it from the corpus.
        extend: Whether to add new symbols of the corpus to ``tokenizer``, after its other symbols. Otherwise
            the unknown symbol replaces them.
        records: How the records of the corpus are separated; None for continuous text. Pass the same value to
            ``read_corpus``.
        folder: Where the tokens of a large corpus are stored, in a file without a name; None for the system's
            folder of temporary files.
        on_read: Called with the number of bytes of each chunk that is read.

    Returns:
        The dataset. Each of its tokens is one symbol of the level, or the end of a record.

    Raises:
        CorpusError: If the training or held-out text is empty or too short, if all characters are equal, if
            no symbol occurs ``min_count`` times, if ``tokenizer`` lacks symbols and is not extended, if there
            is only one word or no room for words, or if the corpus has changed while it was read.
        TextFileError: If the corpus cannot be read.
        OutputError: If the tokens cannot be stored.
        ValueError: If the files of a folder were joined for another kind of records.
    """
    if level == BYTE:
        normalization, min_count = Normalization(unicode=None), 1
    reader = Reader(None if level == BYTE else normalization, records, on_read)
    counts = all_counts = count_symbols(reader.texts(corpus))
    length, share = int(counts.sum()), 0.0
    if isinstance(held_out, Corpus):
        all_counts = counts + count_symbols(reader.texts(held_out))
    else:
        share = _default_share(length) if held_out is None else held_out
    symbols = np.flatnonzero(all_counts)
    _check_symbols(corpus, symbols)
    if min_count > 1 and share:
        blocks = reader.blocks(corpus, share, length)
        counts = count_symbols("".join(block.training) for block in blocks)
    has_records = records is not None
    vocabulary: Tokenizer
    if tokenizer is not None:
        # The corpus may have only symbols that the model knows.
        is_corpus_known = not unknown_symbols(tokenizer, np.flatnonzero(counts))
        named = held_out if isinstance(held_out, Corpus) and is_corpus_known else corpus
        vocabulary = add_symbols(named, tokenizer, symbols, extend=extend)
    elif level == BYTE:
        vocabulary = byte_tokenizer(has_records=has_records)
    else:
        characters = frequent_characters(corpus, symbols, counts, min_count)
        if level == WORD:
            pieces = count_pieces(reader.blocks(corpus, share, length), has_records=has_records)
            vocabulary = word_tokenizer(corpus, characters, pieces, vocabulary_size, has_records=has_records)
        else:
            vocabulary = character_tokenizer(characters, has_records=has_records)
    begin = vocabulary.special.begin
    training, held_out_tokens = _encode(reader.blocks(corpus, share, length), vocabulary, folder)
    if isinstance(held_out, Corpus):
        held_out_tokens, _ = _encode(reader.blocks(held_out), vocabulary, folder)
    if records is not None and not isinstance(held_out, Corpus):
        _check_records(corpus, records, share, training, held_out_tokens)
    _check_parts(corpus, held_out, training, held_out_tokens, vocabulary)
    before = int(training[-1]) if begin is None else begin
    if isinstance(held_out, Corpus) and records is None:
        before, held_out_tokens = int(held_out_tokens[0]), held_out_tokens[1:]
    return Dataset(
        vocabulary,
        normalization,
        training,
        held_out_tokens,
        before,
        len(unknown_symbols(vocabulary, symbols)),
        None if isinstance(held_out, Corpus) else share,
        records,
    )


def read_texts(
    corpus: Corpus,
    held_out: Corpus | None,
    dataset: Dataset,
    training_characters: int,
    held_out_characters: int,
) -> tuple[str, str]:
    """Read the end of the training text and the beginning of the held-out text again.

    The texts are normalized, but the unknown symbol does not replace their rare symbols. The end of a record
    is a line end. The level of the dataset is not that of bytes.
    """
    reader = Reader(dataset.normalization, dataset.records)
    length = dataset.training_characters + dataset.held_out_characters
    end = "" if dataset.records is None else "\n"
    training = held_out_text = ""
    for block in reader.blocks(corpus, dataset.held_out_share or 0.0, length):
        training = (training + "".join([text + end for text in block.training]))[-training_characters:]
        if len(held_out_text) < held_out_characters:
            held_out_text += "".join([text + end for text in block.held_out])
        elif dataset.records is None:
            break
    for block in reader.blocks(held_out) if held_out else ():
        held_out_text += "".join([text + end for text in block.training])
        if len(held_out_text) >= held_out_characters:
            break
    return training, held_out_text[:held_out_characters]


def _encode(blocks: Iterable[Block], tokenizer: Tokenizer, folder: Path | None) -> tuple[Tokens, Tokens]:
    """Return the tokens of the training part and of the held-out part."""
    parts = [(make_encoder(tokenizer), TokenWriter(len(tokenizer), folder)) for _ in Block._fields]
    for block in blocks:
        for texts, (encoder, writer) in zip(block, parts, strict=True):
            if texts:
                writer.append(encoder(texts, tokenizer.special.end))
    for encoder, writer in parts:
        if isinstance(encoder, WordEncoder):
            writer.append(encoder.finish())
    training, held_out = (writer.finish() for _, writer in parts)
    return training, held_out


def _default_share(length: int) -> float:
    """Return the default share of a text to hold out."""
    if length * HELD_OUT_SHARE <= MAX_HELD_OUT_CHARACTERS:
        return HELD_OUT_SHARE
    # Four digits, rounded down, so that a person can pass the share to textgen-eval.
    digits = 3 - math.floor(math.log10(MAX_HELD_OUT_CHARACTERS / length))
    return math.floor(10.0**digits * MAX_HELD_OUT_CHARACTERS / length) / 10.0**digits


def _check_symbols(corpus: Corpus, symbols: NDArray[np.int64]) -> None:
    if not len(symbols):
        # A text of only a byte-order mark, which the normalization removes.
        raise CorpusError(f"the corpus {corpus.name} is empty: pass a text")
    if len(symbols) == 1:
        raise CorpusError(
            f"the corpus {corpus.name} contains only the character {chr(symbols[0])!r}: training needs at "
            "least two different characters: use another text"
        )


def _check_records(
    corpus: Corpus, kind: RecordKind, share: float, training: Tokens, held_out: Tokens
) -> None:
    """Check that both parts have records."""
    if len(training) and len(held_out):
        return
    # The last token is the end of a record.
    both = np.concatenate([training, held_out])
    count = int((both == both[-1]).sum())
    part, change = ("training", "raise") if len(training) else ("held-out", "lower")
    raise CorpusError(
        f"the corpus {corpus.name} has too few records: ",
        Name("records"),
        f" {kind} splits it at {'line ends' if kind == 'lines' else 'blank lines'} and finds {count:,}, all "
        f"in the {part} part; a share of about {share:.2g} is held out, and equal records are in the same "
        f"part; add records, {change} ",
        Name("held_out"),
        ", or pass ",
        Name("held_out_file"),
    )


def _check_parts(
    corpus: Corpus, source: float | Corpus | None, training: Tokens, held_out: Tokens, tokenizer: Tokenizer
) -> None:
    """Check the sizes of the training part and of the held-out part; ``source`` is that of the latter."""
    unit = unit_of(tokenizer)
    if isinstance(source, Corpus) and len(held_out) < MIN_HELD_OUT_CHARACTERS:
        raise CorpusError(
            f"the held-out text {source.name} is too short: it has {len(held_out)} {unit}s, and at least "
            f"{MIN_HELD_OUT_CHARACTERS} are needed: pass a longer text"
        )
    if len(training) < MIN_TRAINING_CHARACTERS or len(held_out) < MIN_HELD_OUT_CHARACTERS:
        raise CorpusError(
            f"the corpus {corpus.name} is too short: it has {len(training)} training {unit}s and "
            f"{len(held_out)} held-out {unit}s, and at least {MIN_TRAINING_CHARACTERS} and "
            f"{MIN_HELD_OUT_CHARACTERS} are needed: use a longer text"
        )
