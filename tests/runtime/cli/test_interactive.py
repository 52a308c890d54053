"""``textgen-run --interactive``: random sessions against a simple model of one, settings, and errors."""

import io
import os
import re
import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import textgen_runtime as textgen
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from textgen_runtime import PARAMETERS, Sampling
from textgen_runtime.cli import texts
from textgen_runtime.cli.interactive import COMMANDS, MAX_STEPS, Addition, Session, find_settings
from textgen_runtime.cli.options import parser, read_samplings
from textgen_runtime.cli.run import main
from textgen_runtime.cli.terminal import LineError
from textgen_runtime.text import SEPARATORS, RecordKind

from tests.helpers.changed_models import with_metadata
from tests.helpers.commands import Captured, run_here
from tests.helpers.make_tiny_model import make_model
from tests.helpers.paths import FORMAT_2, TINY
from tests.helpers.programs import posix_only
from tests.helpers.record_models import record_content, record_model

MODEL = textgen.load(TINY)
SETTINGS = find_settings()

# The known texts of the random sessions, of which half of the short continuations are a part.
CORPUS = MODEL.generate("abc", length=300, temperature=1.0, seed=5)
LIMIT = 4

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def session(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a session on lines, and returns its exit code, standard output and standard error."""

    def run(lines: str | bytes, *options: str, model: Path = TINY) -> tuple[int, str, str]:
        content = lines if isinstance(lines, bytes) else lines.encode()
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
        fixed = ("--interactive", "--seed", "1", "--length", "9", "--temp", "1")
        return run_here(main, capsys, str(model), *fixed, *options)

    return run


class Model:
    """What a session writes, from its text as one string and the number of draws. It feeds each text anew."""

    def __init__(self) -> None:
        self.text: str | None = None
        self.saved: tuple[Any, ...] | None = None
        self.seed, self.drawn, self.length, self.count, self.temperature = 1, 0, 9, 1, 1.0
        self.stops = self.is_novel = False
        self.steps: list[tuple[str | None, tuple[Any, ...] | None]] = []
        self.ends: list[str] = []
        self.picked = self.errors = 0
        self.output = ""

    def carry_out(self, name: str, argument: Any) -> None:
        """Carry out a command; count it if it is refused."""
        try:
            getattr(self, name)(argument)
        except ValueError:
            self.errors += 1

    def line(self, text: str, *, joined: bool = False, length: int | None = None) -> None:
        self.refuse("x" in text)
        self.ends = []
        self.add((text, joined, length), self.text)

    def append(self, text: str) -> None:
        self.line(text, joined=True)

    def more(self, length: int) -> None:
        self.line("", joined=True, length=length or None)

    def add(self, addition: tuple[str, bool, int | None], before: str | None) -> None:
        """Write as many continuations as a person wants to see."""
        added, joined, length = addition
        last = len(self.ends) + self.count
        for number in range(len(self.ends) + 1, last + 1):
            if number > len(self.ends) + 1:
                break
            between = "" if before is None or joined or before.endswith("\n") else "\n"
            opening = MODEL.prompts[self.seed % 3] if before is None and not added else added
            if not self.ends:
                self.steps.append((before, addition))
            self.output += f"------ text {number} of {last}\n" * (self.count > 1) + opening
            try:
                self.text = self.continued((before or "") + between + opening, length or self.length)
            finally:
                self.output += "\n"
                self.ends.append(self.text or "")
                self.picked = len(self.ends) - 1

    def continued(self, text: str, length: int) -> str:
        """Draw until a continuation is new."""
        self.text = text
        for _ in range(LIMIT if self.is_novel else 1):
            stop = "\n" if self.stops else ()
            one = MODEL.start(text, seed=self.seed, temperature=self.temperature, stop=stop)
            one.reseed(self.seed, 0, self.drawn)
            drawn = one.take(length, finish=True)
            self.drawn = one.drawn
            ended = one.ending == "stop"
            if ended or (drawn.endswith("\n") and one.ending != "length"):
                is_known = text.rpartition("\n")[2] + drawn in CORPUS.split("\n")
            else:
                is_known = drawn in CORPUS
            if not (self.is_novel and is_known):
                self.output += drawn
                return text + drawn + "\n" * ended
        raise ValueError

    def retry(self, _: object) -> None:
        self.refuse(not self.steps or self.steps[-1][1] is None)
        before, addition = self.steps[-1]
        assert addition is not None
        if not self.ends:
            # The continuations of the line were forgotten when a later one was taken back.
            self.steps.pop()
        self.add(addition, before)

    def pick(self, number: int) -> None:
        self.refuse(number > len(self.ends))
        self.text = self.ends[number - 1]

    def undo(self, _: object) -> None:
        self.refuse(not self.steps)
        self.text, self.ends = self.steps.pop()[0], []

    def reset(self, _: object) -> None:
        self.steps.append((self.text, None))
        self.text, self.ends = None, []

    def save(self, _: object) -> None:
        self.refuse(self.text is None)
        self.saved = (self.text, self.seed, self.drawn, self.temperature, self.stops)

    def load(self, _: object) -> None:
        self.refuse(self.saved is None)
        self.steps.append((self.text, None))
        assert self.saved is not None
        self.text, self.seed, self.drawn, self.temperature, self.stops = self.saved
        self.ends = []

    def set_seed(self, seed: int) -> None:
        self.seed, self.drawn = seed, 0

    def set(self, values: dict[str, Any]) -> None:
        self.__dict__.update(values)

    @staticmethod
    def refuse(is_wrong: bool) -> None:
        if is_wrong:
            raise ValueError


# Typed lines, each with the method of the model that carries it out, its argument, and how often it is drawn.
TYPED_LINES: list[tuple[str, str, Any, int]] = [
    ("abc", "line", "abc", 3),
    ("d", "line", "d", 2),
    ("axb", "line", "axb", 1),
    ("/append dad h", "append", "dad h", 2),
    ("", "more", 0, 3),
    ("/more 3", "more", 3, 1),
    ("/retry", "retry", None, 6),
    ("/pick 1", "pick", 1, 4),
    ("/pick 2", "pick", 2, 3),
    ("/pick 4", "pick", 4, 1),
    ("/undo", "undo", None, 5),
    ("/reset", "reset", None, 1),
    ("/save FOLDER/x", "save", None, 2),
    ("/load FOLDER/x", "load", None, 2),
    ("/seed 1", "set_seed", 1, 1),
    ("/seed 2", "set_seed", 2, 1),
    ("/temp 0", "set", {"temperature": 0.0}, 1),
    ("/temp 1", "set", {"temperature": 1.0}, 1),
    ("/length 2", "set", {"length": 2}, 2),
    ("/length 70", "set", {"length": 70}, 1),
    ("/count 1", "set", {"count": 1}, 1),
    ("/count 2", "set", {"count": 2}, 2),
    ("/until-newline on", "set", {"stops": True}, 2),
    ("/until-newline off", "set", {"stops": False}, 1),
    ("/novel FOLDER/corpus.txt", "set", {"is_novel": True}, 3),
    ("/novel off", "set", {"is_novel": False}, 1),
]
DRAWN_LINES = [one for one in TYPED_LINES for _ in range(one[3])]


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(typed=st.lists(st.sampled_from(DRAWN_LINES), min_size=5, max_size=20))
def test_a_session_writes_what_its_model_says(
    session: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, typed: list[tuple[str, str, Any, int]]
) -> None:
    (tmp_path / "corpus.txt").write_text(CORPUS)
    (tmp_path / "x").unlink(missing_ok=True)
    monkeypatch.setattr(texts, "MAX_REJECTED_IN_A_ROW", LIMIT)
    model = Model()
    for _, name, argument, _ in typed:
        model.carry_out(name, argument)
    lines = "".join(f"{line}\n" for line, *_ in typed)
    code, out, err = session(lines.replace("FOLDER", str(tmp_path)))
    assert (out, err.count("error: line "), code) == (model.output, model.errors, min(model.errors, 1)), err


def test_a_transcript(session: Run, tmp_path: Path) -> None:
    """The first line has a byte-order mark. Answers and errors do not stand in the text."""
    first = MODEL.start("dad", temperature=1.0, seed=1)
    text = first.take(9)

    lines: list[str | bytes] = [
        "\ufeff/show\r",
        "/unknown skip",
        "abXc",
        "",
        "//",
        "a\0b",
        b"a\xffb",
        "/tmep",
        "/undo 2",
        "/pick",
        "/pick x",
        "/more 0",
        "/append",
        "/save ''",
        f"/save {tmp_path}/book.txt",
        f"/load {tmp_path}/book.txt",
        "/load ~no-such-user/x.gen",
        "/novel -",
        "/json-schema '-'",
        "/help nothing",
        "/help temp",
        "/help show",
        "/help",
        "/resample 5",
        "/top-k 3",
        "/show",
        "/temp 70",
        "/temp",
        "/quit",
        "never",
    ]
    (tmp_path / "book.txt").write_text("notes")
    content = b"\n".join(line if isinstance(line, bytes) else line.encode() for line in lines)
    code, out, err = session(content, "--prompt", "dad")
    first.feed("abc" if text.endswith("\n") else "\nabc")
    assert (code, out) == (1, f"dad{text}\nabc{first.take(9)}\n{first.take(9)}\n")
    assert (tmp_path / "book.txt").read_text() == "notes"
    found = re.findall(r"^textgen-run: (\w+): line (\d+): ", err, re.MULTILINE)
    warned, failed = [3, 27], [*range(5, 21), 24]
    assert found == [("warning" if i in warned else "error", str(i)) for i in sorted(warned + failed)]
    for answer in ("/temp 1.0", "/length 9", "/seed 1", "/top-k 3", "/temp 70.0"):
        assert f"\n{answer}\n" in f"\n{err}"
    assert f"the text ends: dad{text}".replace("\n", "\\n") in err
    assert re.search(r"^/temp T: sampling temperature; 0 always .*$", err, re.MULTILINE)
    assert re.search(r"^/more \[N\] +continue the text", err, re.MULTILINE)
    assert "/typical-p P   /top-p P" in err
    assert {f"/{name}" for name in (*COMMANDS, *SETTINGS)} <= set(err.split())


def test_paths_begin_with_the_home_folder_or_have_quotes(session: Run, home: Path) -> None:
    assert session(f"abc\n/save ~/x.gen\n/save '{home}/a b.gen'\n/load \"~/a b.gen\"\n/save ~/it's\n")[0] == 0
    assert sorted(os.listdir(home)) == ["a b.gen", "it's", "x.gen"]


@pytest.mark.parametrize(
    "options", [("--unique",), ("--stats",), ("--temp", "1", "2"), ("--json",), ("--explain",)]
)
def test_options_without_effect_are_wrong_usage(session: Run, options: tuple[str, ...]) -> None:
    code, out, err = session("abc\n", *options)
    assert (code, out, options[0] in err) == (2, "", True)


def test_a_prompt_outside_the_vocabulary_ends_the_command(session: Run) -> None:
    assert session("abc\n", "--prompt", "xyz")[:2] == (1, "")


@posix_only
@pytest.mark.parametrize("kind", [None, "lines", "blank"])
def test_records_stand_as_in_a_corpus(session: Run, tmp_path: Path, kind: RecordKind | None) -> None:
    """Records stand as in a corpus. A record that continues after its length is not separated."""
    path = tmp_path / "records.onnx"
    path.write_bytes(record_content(kind=kind or "lines", end_bias=99.0))
    between = SEPARATORS[kind or "lines"]
    assert session("a\nb\n", model=path) == (0, f"a{between}b\n", "")
    path.write_bytes(record_content(kind=kind or "lines", end_bias=-99.0))
    expected = (0, f"a{'c' * 9}\nb{'c' * 9}\n", "")
    assert session("a\n/append b\n", "--allowed", "c", model=path) == expected
    without_echo = (0, f"{'c' * 9}\n{'c' * 9}\n", "")
    assert session("a\n/append b\n", "--allowed", "c", "--no-echo", model=path) == without_echo


# Words after an option, what is typed after a setting, and their value, by the kind of the parameter.
TYPED: dict[str, tuple[list[str], str, Any]] = {
    "number": (["0.25"], " 0.25 ", 0.25),
    "whole": (["3"], "3", 3),
    "switch": ([], " on", True),
    "text": (["a b|c "], "a b|c ", "a b|c "),
    "characters": (["ab\\n"], "ab\\n", ("a", "b", "\n")),
    "texts": (["\\n"], "\\n 'a b'", ("\n", "a b")),
    "biases": (["==-2"], "'==-2'", (("=", -2.0),)),
    "choices": (["a b", "c\\n"], "'a b' c\\n", ("a b", "c\n")),
    "schema": (["schema.json"], " 'schema.json'", '{"enum": [2]}'),
}
OPTIONS = {name: f"--{name.replace('_', '-')}" for name in PARAMETERS} | {"temperature": "--temp"}
NEEDED: dict[str, dict[str, Any]] = {"resample": {"match": "a"}}


@pytest.mark.parametrize("name", PARAMETERS)
def test_each_parameter_is_an_option_and_a_setting(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("schema.json").write_text('{"enum": [2]}', encoding="utf-8")
    words, typed, value = TYPED[PARAMETERS[name].kind]
    needed = NEEDED.get(name, {})
    given_words = [word for other, pattern in needed.items() for word in (OPTIONS[other], pattern)]
    (sampling,) = read_samplings(parser().parse_args(["model", *given_words, OPTIONS[name], *words]))
    assert sampling == Sampling(**needed | {name: ("\n",) if name == "stop" else value})
    model = textgen.load(record_content(symbols="\n abcdeh'=2")).with_novel("abcabd")
    changed = Session(model, Sampling(**needed), 7)
    setting = SETTINGS[OPTIONS[name].removeprefix("--")]
    for _ in range(2):
        setting.set(changed, typed)
        assert changed.sampling == Sampling(**needed | {name: value})
        assert setting.is_shown(changed)
        # What /show prints can be typed again.
        typed = typed if name == "json_schema" else setting.line(changed).removeprefix(f"/{setting.name} ")
        setting.set(changed, " off")
        assert changed.sampling == Sampling(**needed)
        assert setting.is_shown(changed) == (name == "temperature")


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("length", "12", 12),
        ("seed", "5", 5),
        ("count", "3", 3),
        ("unknown", "skip", "skip"),
        ("lowercase", "on", True),
    ],
)
def test_the_other_options_are_settings(name: str, text: str, value: object) -> None:
    session = Session(MODEL, Sampling(), 7)
    SETTINGS[name].set(session, f"{text} ")
    assert SETTINGS[name].value(session) == value
    assert SETTINGS[name].line(session) == f"/{name} {text}"
    assert SETTINGS[name].is_shown(session)


@pytest.mark.parametrize(
    "line",
    [
        *("temp x", "temp 0.5 1", "stop 'a", "stop xyz", "top-p 0", "logit-bias a", "length 0"),
        *("unknown ignore", "lowercase yes", "keep-stop x", "top-k 2", "json-schema none.json"),
        *("novel none.txt", "novel ''", "logit-bias x=1"),
    ],
)
def test_a_bad_value_changes_nothing(line: str) -> None:
    session = Session(MODEL, Sampling(mirostat_tau=2.0), 7)
    before = [setting.line(session) for setting in SETTINGS.values()]
    name, _, value = line.partition(" ")
    with pytest.raises(textgen.TextgenError):
        SETTINGS[name].set(session, value)
    assert [setting.line(session) for setting in SETTINGS.values()] == before


def test_until_newline_keeps_the_other_stop_texts() -> None:
    session = Session(MODEL, Sampling(stop="ab"), 7)
    SETTINGS["until-newline"].set(session, "on")
    assert session.sampling == Sampling(stop=["ab", "\n"])
    SETTINGS["until-newline"].set(session, "off")
    assert session.sampling == Sampling(stop="ab")


def test_no_setting_has_the_name_of_a_command() -> None:
    assert not set(COMMANDS) & set(SETTINGS)


def continued(session: Session, text: str | None = None, *, joined: bool = False) -> str:
    """Add a line, and return its continuation."""
    session.add(Addition(text, joined))
    return "".join(session.chunks(nullcontext)) + session.stop()


@pytest.mark.parametrize(("symbols", "text"), [(" ab", "ab ba"), ("ab", "abba")])
def test_a_vocabulary_without_line_ends_gets_spaces_or_nothing(symbols: str, text: str) -> None:
    session = Session(textgen.load(make_model(symbols).SerializeToString()), Sampling(), 7)
    assert [session.add(Addition("ab")), session.add(Addition("ba"))] == ["ab", "ba"]
    assert session.position.tail == text


def test_each_continuation_is_a_new_text_of_the_constraint() -> None:
    session = Session(MODEL, Sampling(temperature=1.0, choices=["bed", "head"]), 7)
    found = [continued(session, "abc"), *(continued(session) for _ in range(20))]
    assert set(found) == {"bed", "head"}
    assert (session.ending, session.position.tail) == ("constraint", "abc" + "\n".join(found))
    position = session.position
    session.length = 2
    with pytest.raises(textgen.SamplingError):
        session.add(Addition("bed"))
    with pytest.raises(textgen.SamplingError):
        session.retry()
    assert session.position == position


def test_lines_can_be_taken_back_up_to_a_number() -> None:
    session = Session(MODEL, Sampling(), 7)
    for _ in range(MAX_STEPS + 10):
        session.add(Addition("a"))
    for _ in range(MAX_STEPS):
        session.undo()
    assert session.position.generation is not None
    with pytest.raises(LineError):
        session.undo()


@pytest.mark.parametrize("kind", SEPARATORS)
def test_the_whole_record_is_compared_however_many_lines_wrote_it(kind: RecordKind, tmp_path: Path) -> None:
    model = record_model(kind=kind, end_bias=2.0)
    start = model.start("a" * 300, temperature=1.0, seed=7)
    start.feed("b")
    drawn = list[str]()
    for _ in range(30):
        one = start.copy()
        one.reseed(7, 0, sum(len(text) + 1 for text in drawn))
        drawn.append(one.take(100, finish=True))
    (tmp_path / "corpus.txt").write_text(SEPARATORS[kind].join([f"{'a' * 300}b{drawn[0]}", "other"]))
    session = Session(model, Sampling(temperature=1.0), 7)
    session.length = 100
    session.add(Addition("a" * 300))
    session.stop()
    # A saved text has the whole record that it has begun.
    session.save(tmp_path / "saved.gen")
    session = Session(model, Sampling(temperature=1.0), 1)
    session.length, session.novel = 100, str(tmp_path / "corpus.txt")
    session.load(tmp_path / "saved.gen")
    assert continued(session, "b", joined=True) == next(text for text in drawn if text != drawn[0])
    assert (session.ending, continued(session, "") != "") == ("end", True)


@pytest.mark.parametrize("has_ended", [False, True])
def test_a_record_that_a_program_has_saved_in_its_middle_may_end_at_once(
    has_ended: bool, tmp_path: Path
) -> None:
    """A record that begins after it may not."""
    model = record_model(end_bias=99.0)
    generation = model.start("ab")
    if has_ended:
        generation.take(1)
    textgen.save(generation, tmp_path / "saved.gen")
    session = Session(model, Sampling(), 7)
    session.load(tmp_path / "saved.gen")
    if not has_ended:
        assert (continued(session), session.ending) == ("", "end")
    with pytest.raises(textgen.TextgenError, match="are empty"):
        continued(session)


def test_max_copy_and_its_corpus_change_within_a_text(tmp_path: Path) -> None:
    """Also the texts before, to which a person returns, must then not copy the new corpus."""
    likely = MODEL.generate("ab", length=30, temperature=0)
    (tmp_path / "corpus.txt").write_text(likely)
    session = Session(MODEL, Sampling(temperature=0.0), 7)
    session.length = 30
    session.add(Addition("ab"))
    session.stop()
    continued(session, "d", joined=True)
    session.novel = str(tmp_path / "corpus.txt")
    session.sampling = Sampling(temperature=0.0, max_copy=4)
    session.undo()
    expected = textgen.load(TINY, novel=likely).generate("ab", length=30, temperature=0, max_copy=4)
    assert continued(session) == expected
    with pytest.raises(textgen.SamplingError):
        session.novel = None
    assert session.model.novel == likely
    session.sampling = Sampling(temperature=0.0)
    session.novel = None
    session.undo()
    assert continued(session) == likely


@pytest.mark.parametrize("first", ["novel", "lowercase"])
def test_lowercase_converts_the_line_and_the_corpus(tmp_path: Path, first: str) -> None:
    normalization = MODEL.metadata.normalization._replace(lowercase=False)
    model = with_metadata(MODEL, MODEL.metadata._replace(normalization=normalization))
    generation = model.start("ab", temperature=1.0, seed=7)
    known = generation.take(9)
    again = model.start("ab", temperature=1.0, seed=7)
    again.reseed(7, 0, generation.drawn)
    (tmp_path / "corpus.txt").write_text(known.upper())
    session = Session(model, Sampling(temperature=1.0), 7)
    session.length = 9
    values = {"novel": str(tmp_path / "corpus.txt"), "lowercase": True}
    for name in (first, *(values.keys() - {first})):
        setattr(session, name, values[name])
    assert continued(session, "AB") == again.take(9)
    session.lowercase = False
    session.seed = 7
    session.undo()
    assert continued(session, "ab") == known


def test_a_text_that_is_stopped_or_fails_before_it_is_accepted_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "corpus.txt").write_text("a" * 9)
    for sampling, error in (
        (Sampling(temperature=1.0, match="[^q]{2000}", resample=1), None),
        (Sampling(temperature=1.0), None),
        (Sampling(allowed="a", max_copy=2), textgen.SamplingError),
    ):
        session = Session(MODEL, Sampling(), 7)
        session.length = 3000
        session.novel = str(tmp_path / "corpus.txt")
        session.sampling = sampling
        session.add(Addition("abd"))
        calls = 0

        def interrupt() -> Any:
            nonlocal calls
            calls += 1
            if calls == 3:
                raise KeyboardInterrupt
            return nullcontext()

        with pytest.raises(error or KeyboardInterrupt):
            [*session.chunks(interrupt)]
        assert (session.stop(), session.ending, session.position.tail) == ("", None, "abd")
        generation = session.position.generation
        assert generation is not None
        assert (generation.logits == MODEL.start("abd").logits).all()
        assert generation.drawn > 0


def test_a_stop_text_without_effect_is_a_warning_and_is_not_loaded(session: Run, tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="'z'"):
        textgen.save(MODEL.start("abc", seed=1, stop=["z", "dad"]), tmp_path / "saved.gen")
    code, _, err = session(f"/load {tmp_path}/saved.gen\n/stop\n/show\n")
    assert (code, err.count("warning: line 1"), err.count("\n/stop dad\n")) == (0, 1, 2)
    # The file of a program does not have the end of the text.
    assert "the text began with: abc\n" in err
    _, _, err = session("/stop cab\n/stop '\\n'\n", model=FORMAT_2 / "word.onnx")
    assert re.findall(r"warning: line (\d)", err) == ["1"]


def test_a_corpus_that_no_text_can_equal_is_a_warning(session: Run, tmp_path: Path) -> None:
    (tmp_path / "corpus.txt").write_text("xyz\n")
    for lines, options in (
        ("", ("--novel", f"{tmp_path}/corpus.txt")),
        (f"/novel {tmp_path}/corpus.txt", ()),
    ):
        code, _, err = session(lines, *options)
        assert (code, err.count("\n"), "'x'" in err) == (0, 1, True)
