"""Whether texts stand in a corpus."""

import random

import pytest
from textgen_runtime.corpora.corpus import CorpusLookup
from textgen_runtime.corpora.substrings import SubstringIndex


@pytest.mark.parametrize("symbols", [b"a", b"ab", b"abcdefgh", bytes(range(256))])
def test_the_index_finds_what_a_search_finds(symbols: bytes) -> None:
    """Texts of all lengths, from the content and not from it, in contents of many lengths."""
    rng = random.Random(len(symbols))
    found = 0
    for size in [*range(30), 100, 1000, 5000]:
        content = bytes(rng.choices(symbols, k=size))
        index = SubstringIndex(content)
        for _ in range(100):
            start = rng.randint(0, size)
            part = content[start : start + rng.randint(0, 40)]
            assert part in index
            changed = bytearray(part)
            if changed:
                changed[rng.randrange(len(changed))] = rng.choice(symbols)
            other = bytes(changed) + bytes(rng.choices(symbols, k=rng.randint(0, 2)))
            assert (other in index) == (other in content)
            found += other in content
    assert found > 100


def test_the_index_finds_every_part_of_a_content() -> None:
    content = b"abcdefghijklmnopqrstuvwxyz"
    index = SubstringIndex(content)
    for start in range(len(content)):
        for end in range(start, len(content) + 1):
            assert content[start:end] in index
            assert content[start:end] + b"!" not in index
            assert b"!" + content[start:end] not in index


def test_the_index_accepts_only_bytes() -> None:
    with pytest.raises(TypeError):
        SubstringIndex("text")  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        "text" in SubstringIndex(b"text")  # type: ignore[operator]  # noqa: B015


def test_a_text_stands_anywhere_in_a_corpus() -> None:
    corpus = CorpusLookup("An apple.\nA café, 𝄞.\n")
    for text in ("", "A", "apple", "An apple.\nA café, 𝄞.\n", "fé, 𝄞"):
        assert corpus.has(text)
    for text in ("\nAn", "\n\n", "pear", "An apple.A café", "apple!", "cafe", "\ud834"):
        assert not corpus.has(text)


def test_lines_stand_in_a_corpus_only_as_complete_lines() -> None:
    corpus = CorpusLookup("Anna\nBo\n\nCarl Gustav\nDora")
    for lines in ("Anna", "Bo", "", "Dora", "Anna\nBo", "Bo\n\nCarl Gustav", "Carl Gustav\nDora"):
        assert corpus.has_lines(lines)
    assert CorpusLookup("Anna\nBo").has_lines("Anna\nBo")
    for lines in ("Ann", "nna", "Carl", "Anna\nB", "nna\nBo", "Bo\nCarl Gustav", "Dora\nAnna", "annabelle"):
        assert not corpus.has_lines(lines)
