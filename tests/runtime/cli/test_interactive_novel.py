"""``/novel`` in an interactive session: continuations that stand in a corpus are drawn again."""

import io
import sys
from collections import Counter
from pathlib import Path

import pytest
import textgen_runtime as textgen
from textgen_runtime import Generation, Model, Sampling, SamplingError
from textgen_runtime.cli import _interactive_continuation as drawing
from textgen_runtime.cli._interactive_lines import Addition, LineError
from textgen_runtime.cli._interactive_positions import Position
from textgen_runtime.cli._interactive_session import Session
from textgen_runtime.cli._interactive_settings import find_settings
from textgen_runtime.cli.run import main
from textgen_runtime.corpora import published
from textgen_runtime.errors import CorpusError, TextgenError
from textgen_runtime.text import SEPARATORS, RecordKind

from tests.helpers.changed_models import with_metadata
from tests.helpers.commands import Captured, run_here
from tests.helpers.paths import FORMAT_2, TINY
from tests.helpers.record_models import SYMBOLS, record_model

NOVEL = find_settings()["novel"]
WARM = Sampling(temperature=1.0)
OPTIONS = ("--interactive", "--temp", "1", "--seed", "7", "--length", "2")


def started(model: Model, length: int, sampling: Sampling = WARM) -> Session:
    session = Session(model, sampling, 7)
    session.length = length
    return session


def write(folder: Path, text: str) -> str:
    """Write a corpus, and return its path."""
    path = folder / "corpus.txt"
    path.write_text(text, encoding="utf-8")
    return str(path)


def continued(session: Session, text: str | None = None, *, joined: bool = False) -> str:
    """Add a line, and return its continuation."""
    session.add(Addition(text, joined))
    return "".join(session.chunks()) + session.stop()


def again(session: Session) -> str:
    """Continue the latest line again."""
    session.retry()
    return "".join(session.chunks()) + session.stop()


def one_after_another(generation: Generation, length: int, count: int) -> list[str]:
    """Return texts that each begin at the same place, with the random numbers that follow one another."""
    texts, drawn = list[str](), 0
    for _ in range(count):
        one = generation.copy()
        one.reseed(7, 0, drawn)
        texts.append(one.take(length, finish=True))
        drawn = one.drawn
    return texts


@pytest.mark.parametrize("level", ["character", "byte", "word"])
def test_a_continuation_that_stands_in_the_corpus_is_drawn_again(
    level: str, tiny: Model, tmp_path: Path
) -> None:
    model = tiny if level == "character" else textgen.load(FORMAT_2 / f"{level}.onnx")
    drawn = one_after_another(model.start("ab", sampling=WARM), 5, 20)
    session = started(model, 5)
    session.novel = write(tmp_path, f"x{drawn[0]}y{drawn[1]}\n{drawn[3]}")
    text = Path(session.novel).read_text(encoding="utf-8")
    new = [one for one in drawn if one not in text]
    assert [continued(session, "ab"), again(session), again(session)] == new[:3]
    assert session.position.tail == f"ab{new[2]}"
    session.pick(1)
    assert session.position.tail == f"ab{new[0]}"
    session.undo()
    assert session.position == Position()


@pytest.mark.parametrize(
    ("kind", "symbols"),
    [("lines", SYMBOLS), ("blank", SYMBOLS), ("lines", "abcd")],
    ids=["lines", "blank", "no line ends"],
)
def test_the_complete_record_is_compared_however_many_lines_wrote_it(
    kind: RecordKind, symbols: str, tmp_path: Path
) -> None:
    model = record_model(kind=kind, end_bias=2.0, symbols=symbols)
    start = model.start("a", sampling=WARM)
    start.feed("b")
    drawn = Counter(text for text in one_after_another(start, 100, 300) if text.isalpha())
    (known, _), (other, _) = drawn.most_common(2)
    session = started(model, 100)
    session.novel = write(tmp_path, SEPARATORS[kind].join([f"ab{known}", other]))
    for _ in range(5):
        continued(session, "a")
        # The record of another line, or of one that was taken back, is no part of this one.
        session.undo()
    texts = set[str]()
    for _ in range(100):
        session.add(Addition("a"))
        session.stop()
        texts.add(continued(session, "b", joined=True))
    assert known not in texts
    assert other in texts


def test_the_length_of_a_record_is_no_limit_for_its_comparison(tmp_path: Path) -> None:
    """A saved text has the whole record that it has begun."""
    model = record_model(end_bias=2.0)
    beginning = "abc" * 100
    session = started(model, 100)
    session.add(Addition(beginning))
    session.stop()
    session.save(tmp_path / "saved.gen")
    drawn = one_after_another(model.start(beginning, sampling=WARM), 100, 30)
    other = started(model, 100)
    other.novel = write(tmp_path, beginning + drawn[0])
    other.load(tmp_path / "saved.gen")
    assert continued(other) == next(text for text in drawn if text != drawn[0])


@pytest.mark.parametrize("novel", ["cab", None])
def test_an_empty_record_is_not_new(novel: str | None, tmp_path: Path) -> None:
    model = record_model(end_bias=4.0)
    drawn = one_after_another(model.start("", sampling=WARM), 100, 30)
    assert drawn[0] == ""
    session = started(model, 100)
    session.novel = write(tmp_path, novel) if novel else None
    assert continued(session) == next(text for text in drawn if text)
    assert all(again(session) for _ in range(20))


@pytest.mark.parametrize("has_ended", [False, True])
def test_a_record_that_a_program_has_saved_in_its_middle_may_end_at_once(
    has_ended: bool, tmp_path: Path
) -> None:
    """A record that begins after it may not."""
    model = record_model(end_bias=99.0)
    generation = model.start("ab")
    if has_ended:
        generation.take(1)
        assert generation.ended_record
    textgen.save(generation, tmp_path / "saved.gen")
    session = started(model, 100)
    session.load(tmp_path / "saved.gen")
    if not has_ended:
        for _ in range(2):
            session.add(Addition())
            session.stop()
        assert (continued(session), session.ending, again(session)) == ("", "end", "")
    with pytest.raises(TextgenError, match=r"^found no new text, because 1,000 drawn in a row are empty"):
        continued(session)


def test_the_line_that_was_typed_belongs_to_the_line_that_is_compared(tiny: Model, tmp_path: Path) -> None:
    sampling = Sampling(temperature=1.0, stop="\n")
    start = tiny.start("ab", sampling=sampling)
    drawn = one_after_another(start, 400, 20)
    assert len(set(drawn[:3])) == 3
    session = started(tiny, 400, sampling)
    session.novel = write(tmp_path, f"ab{drawn[0]}\n{drawn[1]}\n")
    session.add(Addition("d\na"))
    session.stop()
    assert continued(session, "b", joined=True) == drawn[1]


def test_too_many_known_texts_are_an_error_and_the_line_can_be_tried_again(
    tiny: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = started(tiny, 9, Sampling(temperature=0.0))
    likely = tiny.generate("ab", length=9, temperature=0)
    session.novel = write(tmp_path, likely)
    monkeypatch.setattr(drawing, "MAX_REJECTED_IN_A_ROW", 4)
    session.add(Addition("ab"))
    with pytest.raises(TextgenError, match=r"^found no new text, because .* temperature, a greater"):
        [*session.chunks()]
    assert (session.stop(), session.ending, session.position.tail) == ("", None, "ab")
    start = tiny.start("ab", sampling=WARM, seed=7)
    start.reseed(7, 0, 4 * 9)
    generation = session.position.generation
    assert generation is not None
    assert (generation.drawn, (generation.logits == start.logits).all()) == (4 * 9, True)
    session.sampling = WARM
    assert again(session) == start.take(9)


def test_a_text_that_is_stopped_before_it_is_new_leaves_nothing(tiny: Model, tmp_path: Path) -> None:
    session = started(tiny, 1000)
    session.novel = write(tmp_path, "abc")
    session.add(Addition("ab"))
    assert next(session.chunks()) == ""
    assert session.stop() == ""
    generation = session.position.generation
    assert generation is not None
    assert (session.position.tail, session.ending, generation.drawn > 0) == ("ab", None, True)
    assert (generation.logits == tiny.start("ab").logits).all()


def test_a_text_that_max_copy_makes_new_is_shown_while_it_is_drawn(tiny: Model, tmp_path: Path) -> None:
    session = started(tiny, 1000)
    session.novel = write(tmp_path, tiny.generate("ab", length=100, temperature=0))
    session.sampling = WARM.replace(max_copy=3)
    session.add(Addition("ab"))
    shown = next(session.chunks())
    assert len(shown) > 3
    session.stop()
    assert session.position.tail == f"ab{shown}"


def test_a_text_that_cannot_continue_before_it_is_new_leaves_nothing(tiny: Model, tmp_path: Path) -> None:
    session = started(tiny, 9)
    session.novel = write(tmp_path, "a" * 9)
    session.sampling = Sampling(allowed="a", max_copy=2)
    session.add(Addition("b"))
    with pytest.raises(SamplingError, match="max_copy leaves no token to draw"):
        [*session.chunks()]
    assert (session.stop(), session.position.tail) == ("", "b")
    generation = session.position.generation
    assert generation is not None
    assert (generation.logits == tiny.start("b").logits).all()


def test_a_corpus_can_be_changed_within_a_text(tiny: Model, tmp_path: Path) -> None:
    """Also the texts before, to which a person returns, must then not copy the new corpus."""
    likely = tiny.generate("ab", length=30, temperature=0)
    session = started(tiny, 30, Sampling(temperature=0.0))
    session.add(Addition("ab"))
    session.stop()
    continued(session, "d", joined=True)
    session.novel = write(tmp_path, likely)
    session.sampling = Sampling(temperature=0.0, max_copy=4)
    session.undo()
    text = continued(session)
    assert text == textgen.load(TINY, novel=likely).generate("ab", length=30, temperature=0, max_copy=4)
    with pytest.raises(SamplingError, match="max_copy needs a corpus"):
        session.novel = None
    assert (session.novel is None, session.model.novel) == (False, likely)
    session.sampling = Sampling(temperature=0.0)
    session.novel = None
    session.undo()
    assert continued(session) == likely


@pytest.mark.parametrize("first", ["novel", "lowercase"])
def test_lowercase_converts_the_corpus(tiny: Model, tmp_path: Path, first: str) -> None:
    model = with_metadata(
        tiny,
        tiny.metadata._replace(normalization=tiny.metadata.normalization._replace(lowercase=False)),
    )
    drawn = one_after_another(model.start("ab", sampling=WARM), 9, 2)
    session = started(model, 9)
    values = {"novel": write(tmp_path, drawn[0].upper()), "lowercase": True}
    for name in (first, *(values.keys() - {first})):
        setattr(session, name, values[name])
    assert continued(session, "ab") == drawn[1]
    session.lowercase = False
    session.seed = 7
    assert again(session) == drawn[0]


@pytest.mark.parametrize(
    ("typed", "error", "message"),
    [
        ("missing.txt", CorpusError, "cannot read missing.txt: no such file or folder"),
        ("''", CorpusError, "the name of the corpus is empty"),
        ("-", LineError, "/novel needs a file: standard input has the lines of the session"),
    ],
)
def test_a_corpus_that_cannot_be_read_changes_nothing(
    tiny: Model, tmp_path: Path, typed: str, error: type[Exception], message: str
) -> None:
    session = started(tiny, 9)
    session.novel = write(tmp_path, "abc")
    model = session.model
    with pytest.raises(error, match=f"^{message}"):
        NOVEL.set(session, typed)
    assert (session.novel, session.model) == (str(tmp_path / "corpus.txt"), model)


def test_the_corpus_is_typed_as_other_paths_or_by_its_name(
    tiny: Model, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(home)
    monkeypatch.setitem(published.EMBEDDED, "python-docs", lambda: "dab")
    (home / "python-docs").write_text("cab")
    session = started(tiny, 9)
    for typed, text in (
        ("python-docs", "dab"),
        ("./python-docs", "cab"),
        (" '~/python-docs' ", "cab"),
        ("off ", None),
    ):
        NOVEL.set(session, typed)
        assert session.model.novel == text
    assert NOVEL.line(session) == "/novel off"


@pytest.mark.parametrize("is_option", [True, False])
def test_a_session_has_the_corpus_from_its_start_or_by_a_command(
    is_option: bool, tiny: Model, tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = one_after_another(tiny.start("ab", sampling=WARM), 2, 60)
    path = write(tmp_path, f"{drawn[0]}\n{drawn[2]}")
    new = [text for text in drawn if text not in f"{drawn[0]}\n{drawn[2]}"]
    lines = ("" if is_option else f"/novel {path}\n") + "ab\n/retry\n/novel\n/novel off\n/seed 7\n/retry\n"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(lines.encode())))
    code, out, err = run_here(main, capsys, str(TINY), *OPTIONS, *(("--novel", path) if is_option else ()))
    assert (code, err) == (0, f"/novel {path}\n")
    assert out == f"ab{new[0]}\nab{new[1]}\nab{drawn[0]}\n"


@pytest.mark.parametrize("is_option", [True, False])
def test_a_session_says_that_a_corpus_has_no_effect(
    is_option: bool, tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path, "xyz\n")
    lines = "" if is_option else f"/novel {path}\n"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(lines.encode())))
    code, out, err = run_here(main, capsys, str(TINY), *OPTIONS, *(("--novel", path) if is_option else ()))
    assert (code, out, err.count("\n")) == (0, "", 1)
    assert "'x' (U+0078)" in err


def test_the_message_for_too_many_known_texts_spells_commands(
    tiny: Model, tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path, tiny.generate("ab", length=2, temperature=0))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"ab\n")))
    code, out, err = run_here(main, capsys, str(TINY), *OPTIONS, "--temp", "0", "--novel", path)
    assert (code, out) == (1, "ab\n")
    assert err == (
        "textgen-run: error: line 1: found no new text, because 1,000 drawn in a row stand in the corpus: "
        "use a higher /temp, a greater /length or another prompt\n"
    )
