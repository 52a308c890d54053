"""The dataset of a run: tokens, division and vocabulary, hints, and what is known of the texts."""

import random
import re
from collections import Counter
from pathlib import Path
from typing import Any
from unicodedata import normalize

import pytest
from textgen_runtime.errors import CorpusError, TextFileError
from textgen_runtime.model_file import make_tokenizer
from textgen_runtime.text import held_out_start, is_held_out
from textgen_runtime.tokenizer import SpecialTokens
from textgen_train.config import Config
from textgen_train.dataset import (
    GOOD_CHARACTERS,
    Dataset,
    describe_overlap,
    frequent_words,
    read_dataset,
    trained_share,
    unwrap,
)

RNG = random.Random(4)
WORDS = ("do", "re", "mi", "fä", "sol", "日本", "e\u0301te", "Über", "zz")
TEXT = "".join(
    RNG.choice(WORDS) + RNG.choice((" ", " ", ", ", ".\r\n", "\n", "\r\n\r\n")) for _ in range(1500)
)


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def dataset_of(content: bytes | str, known: Any = None, *, extend: bool = False, **options: Any) -> Dataset:
    Path("book.txt").write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_dataset(Config("book.txt", **options), known, extend=extend)


def normalized(text: str, form: Any = "NFC") -> str:
    return normalize(form, text.removeprefix("\ufeff").replace("\r\n", "\n"))


def split(text: str, records: str) -> list[str]:
    """Return the records of a text: lines, or parts between blank lines."""
    parts = text.split("\n") if records == "lines" else re.split(r"\n(?:[ \t]*\n)+", text.strip("\n"))
    return [part for part in parts if part.strip()]


@pytest.mark.parametrize("level", ["character", "byte", "word"])
@pytest.mark.parametrize("records", [None, "lines", "blank"])
@pytest.mark.parametrize("share", [None, 0.3])
def test_tokens_division_and_vocabulary(level: str, records: str | None, share: float | None) -> None:
    """Of a text with a byte-order mark, CRLF and letters with separate accents."""
    content = ("\ufeff" + (TEXT.replace("\r", "") if level == "byte" and records else TEXT)).encode()
    dataset = dataset_of(content, level=level, records=records, held_out=share)
    tokens, tokenizer, special = dataset.tokens, dataset.tokenizer, dataset.tokenizer.special
    text = content.decode() if level == "byte" else normalized(TEXT)
    used = 0.1 if share is None else share
    assert tokens.held_out_share == used
    if records is None:
        start = held_out_start(len(text), used)
        parts = [text[:start], text[start:]]
        assert (special.begin, special.end) == (None, None)
    else:
        found = split(text.replace("\r\n", "\n"), records)
        divided = [[one for one in found if is_held_out(one, used) == held] for held in (False, True)]
        parts = ["".join(f"{one}\n" for one in part) for part in divided]
        assert (tokens.training_records, tokens.held_out_records) == (len(divided[0]), len(divided[1]))
        assert (special.begin, special.end) == (len(tokenizer) - 2, len(tokenizer) - 1)
    both = dataset.text_of(tokens.training), dataset.text_of(tokens.held_out)
    assert "".join(both) == "".join(parts)
    if level == "character" or records:
        assert list(both) == parts
    characters = [len(part) for part in both]
    assert [tokens.training_characters, tokens.held_out_characters] == characters
    if level == "byte":
        assert tokenizer.symbols[:256] == tuple(map(chr, range(256)))
    else:
        used_symbols = {*"".join(parts)} - ({"\n"} if records == "lines" else set())
        assert [symbol for symbol in tokenizer.symbols if len(symbol) == 1] == sorted(used_symbols)
    if level == "word" and records is None:
        learned = text[: held_out_start(len(text), used)]
        words = frequent_words([learned], 4096)
        assert [symbol for symbol in tokenizer.symbols if len(symbol) > 1] == words
        assert [*tokens.training] == tokenizer.encode(both[0]).tolist()
    assert dataset.characters_per_token == characters[0] / len(tokens.training)


def test_frequent_words_are_those_of_a_plain_count() -> None:
    text = "Don't stop, 2nd_try! हिन्दी का\tthe the, the\nthe  the " * 3 + "once twice twice " + "x" * 65 * 1
    text += (" " + "long" * 20) * 5
    pieces = Counter(re.findall(r" ?(?:[^\W]|[\u0900-\u0903\u093a-\u094f])+", text))
    expected = [piece for piece, count in pieces.items() if count >= 3 and 1 < len(piece) <= 64]
    expected.sort(key=lambda piece: (-pieces[piece], piece))
    assert frequent_words([text], 99) == expected
    assert frequent_words([text], 2) == expected[:2] == [" the", " stop"] or expected[0] == " the"
    assert frequent_words([text, text], 99)[: len(expected)] == expected


@pytest.mark.parametrize("records", [None, "lines"])
def test_a_vocabulary_of_words_has_at_most_its_size(records: str | None) -> None:
    dataset = dataset_of(TEXT, level="word", records=records, vocabulary_size=34)
    assert len(dataset.tokenizer) == 34
    with pytest.raises(CorpusError):
        dataset_of(TEXT, level="word", records=records, vocabulary_size=9)


@pytest.mark.parametrize("records", [None, "lines", "blank"])
def test_rare_symbols_of_the_training_text_are_unknown(records: str | None) -> None:
    text = "ab" * 400 + "\n" + "yyxx\n" + "\n\nab\nba\naab\nabb" * 20 + "\nx"
    dataset = dataset_of(text, min_count=4, records=records)
    assert dataset.tokenizer.unknown == 0
    assert [*dataset.rare] == ["x", "y"]
    assert {*dataset.tokenizer.symbols} == {"", "a", "b"} | ({"\n"} if records != "lines" else set())
    whole = dataset.text_of(dataset.tokens.training) + dataset.text_of(dataset.tokens.held_out)
    assert Counter(whole)["\ufffd"] == 5
    assert "unknown" in dataset.describe()
    with pytest.raises(CorpusError) as caught:
        dataset_of(text, min_count=10**6)
    assert caught.value.parameter == "min_count"


def test_a_separate_held_out_text_is_all_held_out() -> None:
    Path("other.txt").write_bytes(b"\xef\xbb\xbfXYZ\r\nXYZXYZ")
    dataset = dataset_of("ab" * 100, held_out_file="other.txt", lowercase=True)
    tokens = dataset.tokens
    assert dataset.text_of(tokens.training) == "ab" * 100
    # Its first character is not scored, as when a model is scored on a file.
    assert (dataset.text_of(tokens.held_out), dataset.tokenizer.symbols[tokens.before]) == ("yz\nxyzxyz", "x")
    assert dataset.tokenizer.symbols == ("\n", "a", "b", "x", "y", "z")
    assert dataset.describe_split()["held_out"]["corpus"] == "other.txt"
    assert {path.name for path in dataset.files} == {"book.txt", "other.txt"}


ACCENTS = "e\u0301\u00e9 " * 200


@pytest.mark.parametrize("form", ["NFC", "NFD", "none"])
def test_the_normal_form_of_a_text(form: Any) -> None:
    dataset = dataset_of(ACCENTS, unicode=form)
    expected = ACCENTS if form == "none" else normalize(form, ACCENTS)
    assert dataset.text_of(dataset.tokens.training) + dataset.text_of(dataset.tokens.held_out) == expected


def test_the_vocabulary_of_a_model_is_kept_or_extended() -> None:
    known, text = make_tokenizer("character", ["b", "a"]), "abz" * 200
    with pytest.raises(CorpusError) as caught:
        dataset_of(text, known)
    assert caught.value.parameter == "extend"
    dataset = dataset_of(text, known, extend=True)
    assert dataset.tokenizer.symbols == ("b", "a", "z")
    assert [*dataset.tokens.training[:4]] == [1, 0, 2, 1]
    with_unknown = make_tokenizer("character", ["", "b", "a"], SpecialTokens(unknown=0))
    assert [*dataset_of(text, with_unknown).tokens.training[:4]] == [2, 1, 0, 2]
    assert dataset_of(text, with_unknown, extend=True).tokenizer.symbols == ("", "b", "a", "z")
    lines = make_tokenizer("character", ["a", "b", "", ""], SpecialTokens(None, 2, 3))
    assert dataset_of("ab\nba\naab\nabb\n" * 40, lines, records="lines").tokenizer.symbols == lines.symbols


def test_unwrap_joins_the_lines_of_a_paragraph() -> None:
    assert (
        unwrap("One line \nand another\nthird.\n\nNew\n \nLast\n")
        == "One line and another third.\n\nNew\n \nLast\n"
    )
    text = "\n".join(RNG.choice(WORDS) for _ in range(400))
    dataset = dataset_of(text, unwrap=True)
    assert "\n" not in dataset.tokenizer.symbols
    assert dataset.tokens.training_characters + dataset.tokens.held_out_characters == len(normalized(text))


PROSE = " ".join(
    RNG.choice(("the", "cat", "sat", "upon", "several", "mats", "and", "elsewhere.")) for _ in range(8000)
)


def wrapped(text: str, width: int) -> str:
    import textwrap

    paragraphs = [text[i : i + 900] for i in range(0, len(text), 900)]
    return "\n\n".join(textwrap.fill(paragraph, width) for paragraph in paragraphs)


POEMS = "\n\n".join("\n".join(f"a line of a poem {i} {j}" for j in range(4)) for i in range(60))
CHINESE = "".join(RNG.choice("天地玄黃宇宙洪荒日月盈昃。") for _ in range(20000))


@pytest.mark.parametrize(
    ("text", "option"),
    [
        ("\n".join(f"name{i} x" for i in range(500)), "--records lines"),
        (POEMS, "--records blank"),
        ("\n\n".join(f"X:{i}\nT:tune\nK:G\n" + "GABc dedB|\n" * 6 for i in range(60)), "--records blank"),
        (wrapped(PROSE, 72), "--unwrap"),
        (wrapped(PROSE, 60), "--unwrap"),
        (PROSE, None),
        ("\n\n".join(PROSE[i : i + 400] for i in range(0, 30000, 400)), None),
        ("\n".join(PROSE[i : i + 400] for i in range(0, 30000, 400)), None),
        (CHINESE, None),
        ("\n".join(CHINESE[i : i + RNG.randrange(40, 400)] for i in range(0, 19000, 200)), None),
        (
            "\n\n".join(f"SPEAKER {i}:\nWhat say you, my lord of {i}?\nNothing at all." for i in range(200)),
            None,
        ),
        (
            "".join(
                f"def f{i}(x):\n    if x > {i}:\n        return x\n\n    return {i} + call(x, y, z) * 2\n\n\n"
                for i in range(99)
            ),
            None,
        ),
    ],
    ids=[
        "list",
        "poems",
        "tunes",
        "72",
        "60",
        "one line",
        "paragraphs",
        "lines",
        "Chinese",
        "Chinese lines",
        "play",
        "code",
    ],
)
def test_hints(text: str, option: str | None) -> None:
    hints = dataset_of(text).hints
    assert len(hints) == (option is not None)
    if option:
        assert option in hints[0]
        name, _, value = option[2:].partition(" ")
        options: dict[str, Any] = {name: value or True}
        assert not dataset_of(text, **options).hints


def test_a_file_with_the_name_of_a_corpus_is_a_hint() -> None:
    Path("names").write_text("a", encoding="utf-8")
    Path("book.txt").write_text(PROSE, encoding="utf-8")
    assert not read_dataset(Config("./book.txt")).hints
    assert "./python-docs" in "".join(_hints_of("python-docs"))


def _hints_of(name: str) -> list[str]:
    from textgen_train.dataset import _hints

    Path(name).touch()
    return _hints(Config(name), PROSE)


def test_a_tiny_text_gets_a_verdict_before_the_run() -> None:
    tiny, large = dataset_of(PROSE[:9000]), dataset_of(PROSE[:20000])
    verdict = f"{GOOD_CHARACTERS:,}"
    assert verdict in tiny.describe()
    assert verdict not in large.describe()
    known = make_tokenizer("character", sorted({*PROSE}))
    assert verdict not in dataset_of(PROSE[:9000], known).describe()


def test_all_bad_files_of_a_folder_are_named_at_once() -> None:
    Path("texts").mkdir()
    for name, content in {
        "a.txt": b"caf\xe9",
        "b.txt": PROSE.encode(),
        "c.abc": b"PK\3\4",
        "d.txt": b" \n",
        "e.txt.gz": b"no gzip",
        "f.md": b"\xff",
    }.items():
        (Path("texts") / name).write_bytes(content)
    with pytest.raises(TextFileError) as caught:
        read_dataset(Config("texts"))
    named = re.findall(r"[a-f]\.(?:txt|abc|md)(?=[ .:])", str(caught.value))
    assert named == ["a.txt", "c.abc", "e.txt"]
    for name in ("a.txt", "c.abc", "e.txt.gz"):
        (Path("texts") / name).unlink()
    described = read_dataset(Config("texts")).describe()
    assert "2 files" in described
    assert "f.md" in described


@pytest.mark.parametrize(
    ("text", "options"),
    [("", {}), (" \n", {}), ("aaaa" * 100, {}), ("abc", {}), ("one\n" * 100, {"records": "lines"})],
)
def test_a_text_from_which_nothing_can_be_learned_is_refused(text: str, options: dict[str, Any]) -> None:
    with pytest.raises(CorpusError):
        dataset_of(text, **options)
    with pytest.raises(CorpusError):
        read_dataset(Config("-", held_out_file="-"))


def test_which_share_of_the_held_out_text_a_model_has_learned() -> None:
    tenth, third = dataset_of(PROSE), dataset_of(PROSE, held_out=0.3)
    sha256 = tenth.source.sha256
    own = {"sha256": sha256, "split": tenth.describe_split()}
    assert trained_share(own, tenth) == 0
    assert trained_share({**own, "split": third.describe_split()}, tenth) == 0
    assert trained_share(own, third) == pytest.approx(2 / 3, abs=1e-4)
    Path("other.txt").write_text(PROSE[:5000], encoding="utf-8")
    separate = dataset_of(PROSE, held_out_file="other.txt")
    assert trained_share({**own, "split": separate.describe_split()}, tenth) == 1
    assert trained_share(own, separate) == 0
    for training in ({}, {"sha256": sha256}, {"sha256": sha256, "split": {"held_out_characters": "9"}}):
        assert trained_share(training, tenth) == 0
    assert not describe_overlap(tenth, {"--from": own})
    assert len(describe_overlap(third, {"--from": own, "--teacher": {}})) == 1
    Path("same.txt").write_text(PROSE, encoding="utf-8")
    assert len(describe_overlap(dataset_of(PROSE, held_out_file="same.txt"), {})) == 1
